import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { eventually, TestFleet } from './fleet.fixture.ts';

const ENTRIES = ['eu', 'us', 'ap'] as const;

let fleet: TestFleet;
beforeAll(async () => {
  fleet = await TestFleet.start(ENTRIES, 1);
});
afterAll(async () => await fleet?.[Symbol.asyncDispose]());

async function expectConflicted(namespace: string): Promise<void> {
  await eventually(
    async () =>
      (await fleet.list('ingresses')).some(
        (item) => item['namespace'] === namespace && item['accepted'] === false && item['reason'] === 'Conflicted',
      ),
    () => `the Ingress of ${namespace} is not Conflicted`,
  );
}

function claim(name: string, host: string, namespace: string, clusters = ''): string {
  return `---
apiVersion: headgate.dev/v1alpha1
kind: HostClaim
metadata: { name: ${name} }
spec: { hosts: ["${host}"], namespaces: [${namespace}]${clusters} }
`;
}

describe('a host', () => {
  const host = 'owned.example';
  /** Its pods' requests are told apart by a path of its own. */
  const rival = { namespace: 'aa-rival', host, path: '/rival', metadata: 'creationTimestamp: "2001-01-01T00:00:00Z"' };

  test('promise-21 stays with its owner: an older rival gets none of 1,200 requests', async () => {
    fleet.writeAll({ namespace: 'owner', host }, { eu: 1, us: 1 });
    for (const entry of ['eu', 'us']) await fleet.expectShares(entry, host, { [entry]: 1 }, 20);
    // In a cluster that has the owner, and in one that has not: there the host must not appear at all.
    fleet.write('us', rival);
    fleet.write('ap', rival);
    await expectConflicted(rival.namespace);
    let stolen = 0;
    for (const entry of ['eu', 'us']) {
      const seen = await fleet.sample(entry, host, 400, '/rival/x');
      expect(seen.byCluster).toEqual(new Map([[entry, 400]]));
      stolen += seen.byCluster.get('ap') ?? 0;
    }
    const alone = await fleet.sample('ap', host, 400, '/rival/x');
    expect([...alone.failed]).toEqual([['404 no route', 400]]);
    stolen += 400 - (alone.failed.get('404 no route') ?? 0);
    const routes = (await fleet.list('routes')).filter((route) => route['host'] === host);
    expect(routes.map((route) => [route['path'], route['namespace']])).toEqual([['/', 'owner']]);
    process.stdout.write(`promise-21 rival claim: ${stolen} of 1200 requests stolen\n`);
    expect(stolen).toBe(0);
  });

  test('goes to the namespace that a HostClaim names, and back when the claim goes', async () => {
    const moved = claim('owned', host, rival.namespace);
    await fleet.apply(moved);
    await fleet.expectStatus('us', host, 404);
    await fleet.expectShares('us', host, { us: 1 }, 20, '/rival');
    await fleet.expectShares('ap', host, { ap: 1 }, 20, '/rival');
    await fleet.expectStatus('eu', host, 404);
    await fleet.fleet.must(['delete', '-f', '-'], moved);
    await fleet.expectShares('us', host, { us: 1 }, 20);
    await fleet.expectStatus('ap', host, 404, '/rival');
  });

  test('is kept for its owner while that has gone for less than the grace', async () => {
    for (const cluster of ['eu', 'us']) fleet.remove(cluster, { namespace: 'owner' });
    await fleet.expectStatus('us', host, 404);
    await fleet.expectStatus('us', host, 404, '/rival');
    fleet.write('eu', { namespace: 'owner', host });
    await fleet.expectShares('eu', host, { eu: 1 }, 20);
  });

  test('under a claimed wildcard is reserved, for the clusters that the claim names', async () => {
    await fleet.apply(claim('reserved', '*.reserved.example', 'reserved', ', clusters: [eu]'));
    fleet.write('us', { namespace: 'squatter', host: 'shop.reserved.example' });
    fleet.writeAll({ namespace: 'reserved', host: 'shop.reserved.example' }, { eu: 1, us: 1 });
    await fleet.expectShares('eu', 'shop.reserved.example', { eu: 1 }, 20);
    await expectConflicted('squatter');
    await fleet.expectStatus('us', 'shop.reserved.example', 404);
  });
});

describe('a guard', () => {
  const hosts = Array.from({ length: 14 }, (_, i) => `guarded-${i}.example`);
  const files = hosts.map((host, i) => ({ namespace: 'guarded', name: `app-${i}`, host }));

  test('promise-12 keeps the routes of an emptied folder until somebody confirms', async () => {
    for (const file of files) fleet.write('ap', file);
    for (const host of hosts) await fleet.expectStatus('ap', host, 200);
    for (const file of files) fleet.remove('ap', file);
    let id = '';
    await eventually(
      async () => {
        const listed = JSON.parse(await fleet.fleet.must(['guard', 'list', '-o', 'json'])) as {
          items: { id: string; cluster: string }[];
        };
        id = listed.items.find(({ cluster }) => cluster === 'ap')?.id ?? '';
        return id !== '';
      },
      () => 'no guard holds what the folder lost',
    );
    fleet.write('ap', { namespace: 'meanwhile', host: 'meanwhile.example' });
    await fleet.expectShares('ap', 'meanwhile.example', { ap: 1 }, 20);
    const listed = (await fleet.list('routes')).filter((route) => hosts.includes(String(route['host'])));
    expect(listed).toHaveLength(hosts.length);
    for (const host of hosts) expect((await fleet.ask('ap', host)).status).toBe(200);
    await fleet.fleet.must(['guard', 'confirm', id]);
    for (const host of hosts) await fleet.expectStatus('ap', host, 404);
    await fleet.expectShares('ap', 'meanwhile.example', { ap: 1 }, 20);
  });
});
