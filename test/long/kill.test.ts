import { expect, test } from 'vitest';
import { killRounds } from '../store/kill-rounds.ts';

test('acknowledged means committed: 200 kill -9 during writes lose nothing', { timeout: 240_000 }, async () => {
  const { acknowledged, faults } = await killRounds(200);
  expect(faults).toEqual([]);
  expect(acknowledged).toBeGreaterThan(2_000);
});
