import { expect, test } from 'vitest';
import { PlaneBench, service } from '../../agent/haproxy/testing/plane.fixture.ts';
import { figure } from '../safety/figure.ts';
import { leavesFor } from '../safety/leaves.ts';
import { mutate } from '../safety/mutations.ts';

test('promise-10: what is invalid is refused by name within a second, and everything else goes live, thousands', async () => {
  const seed = Date.now() % 1_000_000_000;
  await using bench = await PlaneBench.make();
  const { port } = await bench.upstream('steady');
  await bench.start(service('steady', [port]));
  const { mutants, rejected, median, slowest, faults } = await mutate(bench, port, await leavesFor(), 5_000, seed);
  figure(
    `promise-10: ${mutants} mutants from seed ${seed}, ${rejected} refused by name, a delta's verdicts in ${median.toFixed(0)} ms (median), ` +
      `${slowest.toFixed(0)} ms (slowest), ${faults.length} faults`,
  );
  expect(faults.slice(0, 20)).toEqual([]);
  expect(rejected).toBeGreaterThan(1_000);
  expect(median).toBeLessThan(1_000);
});
