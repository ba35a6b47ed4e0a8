import { expect, test } from 'vitest';

import { TestFleet } from '../fleet/fleet.fixture.ts';
import { inWords, measureWeights, weighRoutes } from '../fleet/weight-truth.ts';

test('promise-09 weight truth: 50, 10, 1, 0.1 %, 100,000 requests each', async () => {
  await using fleet = await TestFleet.start(['eu', 'us']);
  await weighRoutes(fleet);
  for (const one of await measureWeights(fleet, 100_000)) {
    process.stdout.write(`promise-09 weight truth: ${inWords(one)}\n`);
    expect(one).toMatchObject({ failed: 0 });
    expect(one.sigmas).toBeLessThanOrEqual(4);
  }
});
