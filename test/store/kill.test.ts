import { expect, test } from 'vitest';
import { killRounds } from './kill-rounds.ts';

test('acknowledged means committed: 40 kill -9 during writes lose nothing', async () => {
  const { acknowledged, faults } = await killRounds(40);
  expect(faults).toEqual([]);
  expect(acknowledged).toBeGreaterThan(400);
});
