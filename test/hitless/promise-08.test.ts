import { expect, test } from 'vitest';
import { figure } from '../safety/figure.ts';
import { hitless, summary } from './hitless.ts';

test('promise-08 hitless: agents, HAProxies and everything they hold change under wrk and h2load', async () => {
  const outcome = await hitless({
    sizes: { idle: 500, routes: 80, births: 96, certificates: 6, rollouts: 2, reloads: 2, kills: 2, upgrades: 1 },
    rates: { steady: 300, kept: 200, fresh: 50, http2: 200 },
    websockets: 6,
    downloads: 3,
  });
  figure(summary(outcome));
  expect(outcome.phases.flatMap(({ faults }) => faults)).toEqual([]);
  expect(outcome.broken).toEqual([]);
}, 120_000);
