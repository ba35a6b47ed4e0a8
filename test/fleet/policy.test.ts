import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { eventually, TestFleet, tier, trafficPolicy } from './fleet.fixture.ts';
import type { Weights } from './shares.ts';

/** `old` falls silent at the start: a hub takes 15 s to judge that, meanwhile the other tests run. */
const ALL = { eu: 1, us: 1, ap: 1 };
const STALE = { keep: 'Keep', deweight: 'Deweight', drop: 'Drop' } as const;
const STALE_HOSTS = Object.keys(STALE);

let fleet: TestFleet;
beforeAll(async () => {
  fleet = await TestFleet.start(['eu', 'us', 'ap', 'old'], 1);
  for (const action of STALE_HOSTS)
    fleet.writeAll({ namespace: action, host: `${action}.example` }, { eu: 0, us: 1, old: 1 });
  await fleet.apply(
    Object.entries(STALE)
      .map(([namespace, action]) =>
        trafficPolicy(namespace, `tiers: [${tier({ us: 1, old: 1 })}], onStale: { after: 1s, action: ${action} }`),
      )
      .join(''),
  );
  for (const action of STALE_HOSTS) await fleet.expectShares('eu', `${action}.example`, { us: 1, old: 1 });
  fleet.cluster('old').agent.signal('SIGSTOP');
});
afterAll(async () => await fleet?.[Symbol.asyncDispose]());

test('the nearest policy governs: fleet, namespace, Ingress, route', async () => {
  const host = 'near.example';
  fleet.writeAll({ namespace: 'near', host }, ALL);
  fleet.writeAll({ namespace: 'near', host, name: 'cart', path: '/cart' }, ALL);
  await fleet.expectShares('eu', host, { eu: 1 }, 20);
  const everywhere = trafficPolicy('ops', `tiers: [${tier({ us: 1 })}]`, '', 'everything');
  await fleet.apply(everywhere);
  await fleet.expectShares('eu', host, { us: 1 }, 20);
  await fleet.apply(trafficPolicy('near', `tiers: [${tier({ ap: 1 })}]`));
  await fleet.expectShares('eu', host, { ap: 1 }, 20);
  const cart = '{ group: networking.k8s.io, kind: Ingress, name: cart }';
  await fleet.apply(trafficPolicy('near', `tiers: [${tier({ us: 1 })}]`, cart, 'cart'));
  await fleet.expectShares('eu', host, { us: 1 }, 20, '/cart/items');
  await fleet.expectShares('eu', host, { ap: 1 }, 20);
  const route = `{ group: headgate.dev, kind: Route, name: ${host}/cart }`;
  await fleet.apply(trafficPolicy('near', `tiers: [${tier({ eu: 1 })}]`, route, 'route'));
  await fleet.expectShares('ap', host, { eu: 1 }, 20, '/cart');
  await fleet.expectShares('ap', host, { ap: 1 }, 20, '/cartoon');
  await fleet.fleet.must(['delete', '-f', '-'], everywhere);
  await fleet.expectShares('eu', host, { ap: 1 }, 20);
});

test('overrides of a namespace win over what its Ingress asks, and explain says so', async () => {
  const host = 'over.example';
  fleet.writeAll({ namespace: 'over', host }, ALL);
  const app = '{ group: networking.k8s.io, kind: Ingress, name: app }';
  await fleet.apply(
    trafficPolicy('over', `tiers: [${tier({ us: 1 })}]`, app, 'wish') +
      trafficPolicy('over', `overrides: { tiers: [${tier({ ap: 1 })}] }, defaults: { affinity: { drain: 1s } }`),
  );
  await fleet.expectShares('eu', host, { ap: 1 }, 20);
  const { fields } = await fleet.explain('eu', `http://${host}/`);
  expect(fields.find(({ field }) => field === 'tiers')).toMatchObject({
    winner: 'TrafficPolicy over/app at hub (overrides)',
    losers: ['TrafficPolicy over/wish at hub'],
  });
  expect(fields.find(({ field }) => field === 'affinity')).toMatchObject({ value: { cookie: true, drain: 1_000 } });
});

describe('tiers', () => {
  test('select clusters by label, and go on to the next when nothing of one is usable', async () => {
    const host = 'labels.example';
    const app = { namespace: 'labels', host };
    fleet.writeAll(app, ALL);
    const labelled = ['eu', 'us'].map(
      (name) =>
        `---\napiVersion: headgate.dev/v1alpha1\nkind: Cluster\nmetadata: { name: ${name} }\nspec: { labels: { region: west } }\n`,
    );
    const tiers = `{ clusters: [{ selector: { region: west }, weight: 1 }] }, ${tier({ ap: 1 })}`;
    await fleet.apply(`${labelled.join('')}${trafficPolicy('labels', `tiers: [${tiers}]`)}`);
    await fleet.expectShares('ap', host, { eu: 1, us: 1 });
    fleet.writeAll(app, { eu: 0, us: 0 });
    await fleet.expectShares('ap', host, { ap: 1 });
  });

  test('pass on the missing share below spillBelow', async () => {
    const host = 'below.example';
    const app = { namespace: 'below', host };
    fleet.writeAll(app, ALL);
    await fleet.apply(
      trafficPolicy('below', `tiers: [${tier({ eu: 50, us: 50 }, 'spillBelow: 70')}, ${tier({ ap: 1 })}]`),
    );
    await fleet.expectShares('ap', host, { eu: 1, us: 1 });
    fleet.write('us', { ...app, ready: 0 });
    await fleet.expectShares('ap', host, { eu: 1, ap: 1 });
    fleet.write('us', app);
    await fleet.expectShares('ap', host, { eu: 1, us: 1 });
  });

  test('that were left are used again after holdFor', async () => {
    const host = 'hold.example';
    const app = { namespace: 'hold', host };
    fleet.writeAll(app, ALL);
    await fleet.apply(trafficPolicy('hold', `tiers: [${tier({ us: 1 }, 'holdFor: 2s')}, ${tier({ ap: 1 })}]`));
    await fleet.expectShares('eu', host, { us: 1 }, 20);
    fleet.write('us', { ...app, ready: 0 });
    await fleet.expectShares('eu', host, { ap: 1 }, 20);
    const back = performance.now();
    fleet.write('us', app);
    const first = await eventually(
      async () => (await fleet.ask('eu', host)).pod?.cluster === 'us',
      () => 'the first tier was not used again',
    );
    expect(performance.now() - back, `used again after ${first.toFixed(0)} ms`).toBeGreaterThanOrEqual(2_000);
  });
});

test('exposure Everywhere lets every cluster accept a host and pass it on', async () => {
  const host = 'everywhere.example';
  fleet.write('eu', { namespace: 'everywhere', host });
  await fleet.expectShares('eu', host, { eu: 1 }, 20);
  await fleet.expectStatus('ap', host, 404);
  await fleet.apply(trafficPolicy('everywhere', 'exposure: Everywhere'));
  await fleet.expectShares('ap', host, { eu: 1 }, 20);
});

describe('a policy in a member cluster', () => {
  const host = 'member.example';
  const policy = trafficPolicy('member', `tiers: [${tier({ ap: 1 })}]`);

  test('governs requests that enter there, and no others', async () => {
    fleet.writeAll({ namespace: 'member', host }, ALL);
    fleet.fleet.folder('us').write('policy.yaml', policy);
    await fleet.expectShares('us', host, { ap: 1 }, 20);
    await fleet.expectShares('eu', host, { eu: 1 }, 20);
  });

  test('governs the fleet where the hub grants that', async () => {
    await fleet.apply(
      `apiVersion: headgate.dev/v1alpha1\nkind: Cluster\nmetadata: { name: us }\nspec: { labels: { region: west }, grants: { namespaces: [member] } }\n`,
    );
    await fleet.expectShares('eu', host, { ap: 1 }, 20);
  });

  test('never governs another namespace', async () => {
    fleet.fleet
      .folder('us')
      .write(
        'rival-policy.yaml',
        trafficPolicy('rival', `tiers: [${tier({ us: 1 })}]`, '{ group: "", kind: Namespace, name: member }'),
      );
    await eventually(
      async () =>
        (await fleet.list('policies')).some(
          (item) => item['name'] === 'app' && item['namespace'] === 'rival' && item['reason'] === 'TargetNotFound',
        ),
      () => 'the policy is not reported as TargetNotFound',
    );
    await fleet.expectShares('us', host, { ap: 1 }, 20);
  });
});

describe('a policy that is wrong', () => {
  test('in naming an unknown cluster is told so, and the rest of it stands', async () => {
    const host = 'mars.example';
    fleet.writeAll({ namespace: 'mars', host }, ALL);
    await fleet.apply(trafficPolicy('mars', `tiers: [${tier({ us: 1, mars: 9 })}]`));
    await fleet.expectShares('eu', host, { us: 1 }, 20);
    const events = (await fleet.list('events')).filter((event) => event['namespace'] === 'mars');
    expect(events).toMatchObject([{ code: 'HG1008', kind: 'TrafficPolicy', name: 'app' }]);
    expect(String(events[0]?.['message'])).toContain('mars');
  });

  test('in weights that are all 0 is refused and changes nothing', async () => {
    const host = 'mars.example';
    const { code, stderr, stdout } = await fleet.fleet.run(
      ['apply', '-f', '-'],
      trafficPolicy('mars', `tiers: [${tier({ eu: 0, ap: 0 })}]`),
    );
    expect(code).toBe(2);
    expect(stderr + stdout).toContain('weights sum to 0');
    const weights = await fleet.fleet.run(['weights', host, 'eu=0', 'ap=0']);
    expect(weights).toMatchObject({ code: 2, stderr: expect.stringContaining('weights sum to 0') as string });
    await fleet.expectShares('eu', host, { us: 1 }, 20);
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

test('a cluster that fell silent is kept, deweighted or dropped as its policy says', async () => {
  await fleet.expectShares('eu', 'drop.example', { us: 1 });
  await fleet.expectShares('eu', 'deweight.example', { us: 1 }, 50);
  await fleet.expectShares('eu', 'keep.example', { us: 1, old: 1 });
  for (const action of STALE_HOSTS) fleet.write('us', { namespace: action, host: `${action}.example`, ready: 0 });
  await fleet.expectStatus('eu', 'drop.example', 503);
  await fleet.expectShares('eu', 'deweight.example', { old: 1 }, 50);
  await fleet.expectShares('eu', 'keep.example', { old: 1 }, 50);
  fleet.cluster('old').agent.signal('SIGCONT');
  await fleet.expectShares('eu', 'drop.example', { old: 1 }, 50);
});
