import { expect, test } from 'vitest';
import { fullSize } from '../hitless/full-size.ts';
import { hitless, summary } from '../hitless/hitless.ts';
import { figure } from '../safety/figure.ts';

test('promise-08 hitless: agents, HAProxies and everything they hold change at 2,000 requests a second', async () => {
  const outcome = await hitless(fullSize);
  figure(summary(outcome));
  expect(outcome.phases.flatMap(({ faults }) => faults)).toEqual([]);
  expect(outcome.broken).toEqual([]);
});
