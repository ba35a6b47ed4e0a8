import { expect, test } from 'vitest';
import { cleanChange } from '../safety/clean-change.ts';
import { figure } from '../safety/figure.ts';

test('promise-08: no request fails and no stream breaks while everything changes, for minutes', async () => {
  const { requests, failures, retried, slowest, changes, broken } = await cleanChange(120_000, 1_000);
  figure(
    `promise-08: ${JSON.stringify(requests)} requests during ${JSON.stringify(changes)}: ${failures.length} failed, ` +
      `${retried} HTTP/2 streams sent again, slowest ${slowest.toFixed(0)} ms, ${broken.length} long streams broken`,
  );
  expect(failures.slice(0, 10)).toEqual([]);
  expect(broken).toEqual([]);
});
