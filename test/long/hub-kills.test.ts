import { expect, test } from 'vitest';
import { hubKills } from '../bad-input/hub-kills.fixture.ts';

test('what the API acknowledged survives 200 kill -9 of the hub', { timeout: 900_000 }, async () => {
  const { acknowledged, faults } = await hubKills(200);
  expect(faults).toEqual([]);
  expect(acknowledged).toBeGreaterThan(500);
});
