import { expect, test } from 'vitest';
import { PlaneBench, service } from '../../agent/haproxy/testing/plane.fixture.ts';
import { figure } from './figure.ts';
import { leavesFor } from './leaves.ts';
import { mutate } from './mutations.ts';

test('promise-10: what is invalid is refused by name within a second, and everything else goes live', async () => {
  await using bench = await PlaneBench.make();
  const { port } = await bench.upstream('steady');
  await bench.start(service('steady', [port]));
  const { mutants, rejected, median, slowest, faults } = await mutate(bench, port, await leavesFor(), 200, 10);
  figure(
    `promise-10: ${mutants} mutants, ${rejected} refused by name, a delta's verdicts in ${median.toFixed(0)} ms (median), ` +
      `${slowest.toFixed(0)} ms (slowest), ${faults.length} faults`,
  );
  expect(faults.slice(0, 20)).toEqual([]);
  expect(rejected).toBeGreaterThan(50);
  expect(median).toBeLessThan(1_000);
});
