import { expect, test } from 'vitest';
import { figure } from '../../safety/figure.ts';
import { fastLane } from '../promise-05.ts';

/** Milliseconds that the promise gives on idle cores; a test may share them with anything. */
const REACH = { p50: 50, p99: 250 };
const ROOM = 4;

test('promise-05 the fast lane at full size: 3 clusters × 1,000 routes', async () => {
  const { p50, p99, floor, reloads } = await fastLane(1_000, 90);
  figure(
    `promise-05: 3 clusters × 1,000 routes: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms; ` +
      `the API servers' own watch ${floor.p50.toFixed(1)} and ${floor.p99.toFixed(1)} ms; ${reloads} reloads`,
  );
  expect(p50).toBeLessThan(ROOM * REACH.p50);
  expect(p99).toBeLessThan(ROOM * REACH.p99);
  expect(reloads).toBe(0);
});
