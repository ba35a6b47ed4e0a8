import { expect, test } from 'vitest';
import { hubKills } from './hub-kills.fixture.ts';

test('what the API acknowledged survives 12 kill -9 of the hub', { timeout: 120_000 }, async () => {
  const { acknowledged, faults } = await hubKills(12);
  expect(faults).toEqual([]);
  expect(acknowledged).toBeGreaterThanOrEqual(12);
});
