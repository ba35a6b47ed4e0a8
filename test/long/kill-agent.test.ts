import { expect, test } from 'vitest';
import { killRounds } from '../data-plane/kill-rounds.ts';

test('kill -9 at random points of 1,000 changes: HAProxy, files and ledger agree within 2 s of the next start', async () => {
  const { changes, slowestMs, faults } = await killRounds(1_000);
  process.stdout.write(`kill -9 of the agent: ${changes} changes, agreed after ${slowestMs} ms at the slowest\n`);
  expect(faults).toEqual([]);
  expect(slowestMs).toBeLessThan(2_000 + 3_000);
});
