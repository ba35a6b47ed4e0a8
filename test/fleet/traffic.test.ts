import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { TestFleet, tier, trafficPolicy } from './fleet.fixture.ts';
import type { Weights } from './shares.ts';
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

test('promise-09 weight truth: 50, 10, 1, 0.1 %, 10,000 requests each', async () => {
  await weighRoutes(fleet);
  const found = await measureWeights(fleet, 10_000);
  for (const one of found) {
    process.stdout.write(`promise-09 weight truth: ${inWords(one)}\n`);
    expect(one).toMatchObject({ failed: 0 });
    expect(one.sigmas).toBeLessThanOrEqual(4);
  }
});

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

/** Cookies of returning clients, by the cluster that served them first. */
async function visit(host: string, count: number): Promise<Map<string, string[]>> {
  const cookies = new Map<string, string[]>();
  for (let i = 0; i < count; i++) {
    const { pod, cookie } = await fleet.ask('ap', host);
    if (pod !== undefined && cookie !== undefined)
      cookies.set(pod.cluster, [...(cookies.get(pod.cluster) ?? []), cookie]);
  }
  return cookies;
}

/** Clusters that serve these clients now. */
async function revisit(host: string, cookies: readonly string[]): Promise<Set<string | undefined>> {
  const replies = await Promise.all(
    cookies.map(async (cookie) => await fleet.ask('ap', host, { headers: { cookie } })),
  );
  return new Set(replies.map(({ pod, status }) => pod?.cluster ?? `status ${status}`));
}

function sticky(namespace: string, weights: Weights): string {
  return trafficPolicy(namespace, `tiers: [${tier(weights)}], affinity: { drain: 5s }`);
}

describe('affinity', () => {
  test('keeps returning clients while weights change, and moves them when the drain is over', async () => {
    const host = 'sticky.example';
    fleet.writeAll({ namespace: 'sticky', host }, { eu: 1, us: 1, ap: 1 });
    await fleet.apply(sticky('sticky', { eu: 1, us: 1 }));
    await fleet.expectShares('ap', host, { eu: 1, us: 1 });
    const cookies = await visit(host, 30);
    const eu = cookies.get('eu') ?? [];
    const us = cookies.get('us') ?? [];
    expect(eu.length + us.length).toBe(30);
    expect(eu.length).toBeGreaterThan(2);
    expect(await revisit(host, eu)).toEqual(new Set(['eu']));
    expect(await revisit(host, us)).toEqual(new Set(['us']));
    await fleet.apply(sticky('sticky', { us: 99, eu: 1 }));
    await fleet.expectShares('ap', host, { us: 99, eu: 1 });
    expect(await revisit(host, eu)).toEqual(new Set(['eu']));

    await fleet.apply(sticky('sticky', { us: 1 }));
    await fleet.expectShares('ap', host, { us: 1 });
    expect(await revisit(host, eu)).toEqual(new Set(['eu']));
    expect(await revisit(host, us)).toEqual(new Set(['us']));
    await fleet.expectReturn('ap', host, eu[0] ?? '', 'us');
    expect(await revisit(host, eu)).toEqual(new Set(['us']));
  });

  test('outlives a cordon for the drain', async () => {
    const host = 'drained.example';
    fleet.writeAll({ namespace: 'drained', host }, { eu: 1, us: 1, ap: 1 });
    await fleet.apply(sticky('drained', { eu: 1, us: 1 }));
    await fleet.expectShares('ap', host, { eu: 1, us: 1 });
    const { eu = [] } = Object.fromEntries(await visit(host, 20));
    await fleet.fleet.must(['cordon', 'eu']);
    await fleet.expectShares('ap', host, { us: 1 });
    expect(await revisit(host, eu)).toEqual(new Set(['eu']));
    await fleet.expectReturn('ap', host, eu[0] ?? '', 'us');
    await fleet.fleet.must(['uncordon', 'eu']);
    await fleet.expectShares('ap', host, { eu: 1, us: 1 });
  });

  test('with a forged cookie stays inside the split', async () => {
    const host = 'sticky.example';
    const forged = [
      'headgate=x.y',
      'headgate=000000000000.1',
      'headgate=',
      `headgate=${'9'.repeat(500)}.${'9'.repeat(500)}`,
    ];
    expect(await revisit(host, forged)).toEqual(new Set(['us']));
  });
});
