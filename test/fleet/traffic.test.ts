import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { TestFleet } from './fleet.fixture.ts';
import { inWords, measureWeights, weighRoutes } from './weight-truth.ts';

let fleet: TestFleet;
beforeAll(async () => {
  fleet = await TestFleet.start();
});
afterAll(async () => await fleet?.[Symbol.asyncDispose]());

describe('contributions', () => {
  test('of several clusters merge into one route, and each entry serves its own first', async () => {
    const host = 'merge.example';
    fleet.writeAll({ namespace: 'merge', host }, { eu: 1, us: 2, ap: 3 });
    for (const entry of ['eu', 'us', 'ap']) await fleet.expectShares(entry, host, { [entry]: 1 }, 30);
    const routes = (await fleet.list('routes')).filter((route) => route['host'] === host);
    expect(routes).toHaveLength(1);
    expect(routes[0]?.['clusters']).toMatchObject([
      { name: 'ap', ready: 3 },
      { name: 'eu', ready: 1 },
      { name: 'us', ready: 2 },
    ]);
  });

  test('spill in proportion to ready endpoints where the entry has none, and come back', async () => {
    const host = 'spill.example';
    fleet.writeAll({ namespace: 'spill', host }, { eu: 0, us: 3, ap: 1 });
    await fleet.expectShares('eu', host, { us: 3, ap: 1 }, 500);
    fleet.write('us', { namespace: 'spill', host, ready: 1 });
    await fleet.expectShares('eu', host, { us: 1, ap: 1 }, 500);
    fleet.write('ap', { namespace: 'spill', host, ready: 0 });
    await fleet.expectShares('eu', host, { us: 1 });
    fleet.write('us', { namespace: 'spill', host, ready: 0 });
    await fleet.expectStatus('eu', host, 503);
    fleet.write('eu', { namespace: 'spill', host, ready: 2 });
    await fleet.expectShares('eu', host, { eu: 1 });
    await fleet.expectShares('us', host, { eu: 1 });
  });

  test('are answered where the host is declared, and nowhere else', async () => {
    const host = 'declared.example';
    fleet.writeAll({ namespace: 'declared', host }, { eu: 1, us: 1 });
    await fleet.expectShares('eu', host, { eu: 1 }, 20);
    await fleet.expectStatus('ap', host, 404);
  });
});

// test/long has it with 100,000 each.
test('promise-09 weight truth: 50, 10, 1, 0.1 %, 5,000 requests each', async () => {
  await weighRoutes(fleet);
  const found = await measureWeights(fleet, 5_000);
  for (const one of found) {
    process.stdout.write(`promise-09 weight truth: ${inWords(one)}\n`);
    expect(one).toMatchObject({ failed: 0 });
    expect(one.sigmas).toBeLessThanOrEqual(4);
  }
}, 120_000);

describe('cordon', () => {
  test('moves traffic away, serves as a last resort, and then says 503', async () => {
    const host = 'cordon.example';
    const app = { namespace: 'cordon', host };
    fleet.writeAll(app, { eu: 1, us: 1 });
    await fleet.expectShares('eu', host, { eu: 1 });
    await fleet.fleet.must(['cordon', 'eu']);
    await fleet.expectShares('eu', host, { us: 1 });
    fleet.write('us', { ...app, ready: 0 });
    await fleet.expectShares('eu', host, { eu: 1 });
    await fleet.expectShares('us', host, { eu: 1 });
    fleet.write('eu', { ...app, ready: 0 });
    await fleet.expectStatus('eu', host, 503);
    fleet.writeAll(app, { eu: 1, us: 1 });
    await fleet.expectShares('eu', host, { us: 1 });
    await fleet.fleet.must(['uncordon', 'eu']);
    await fleet.expectShares('eu', host, { eu: 1 });
  });
});
