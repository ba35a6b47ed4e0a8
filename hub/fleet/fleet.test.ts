import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { type SmallFleet, storeEntries } from '../../test/hub/small-fleet.ts';
import { openEmbeddedStore } from '../store/embedded.ts';
import { keys } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import type { FleetChange } from './change.ts';
import { Fleet } from './fleet.ts';

const small: SmallFleet = {
  members: ['eu', 'us'],
  owners: { 'shop.example': 'shop' },
  ingresses: [
    { cluster: 'eu', name: 'shop/shop', rules: ['shop.example/ Prefix web:80'] },
    { cluster: 'eu', name: 'blog/blog', rules: ['blog.example/ Prefix web:80'] },
  ],
  services: [{ cluster: 'eu', name: 'shop/web', ports: { '80': 1 } }],
};

let folder: string;
let store: Store;
let fleet: Fleet | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headgate-fleet-'));
  store = await openEmbeddedStore({ folder, clock: systemClock, log: silentLog });
  await put(store, small);
});

afterEach(async () => {
  await fleet?.[Symbol.asyncDispose]();
  fleet = undefined;
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function put(into: Store, given: Partial<SmallFleet>): Promise<bigint> {
  const operations = storeEntries({ members: [], ...given }).map(({ key, value }) => ({
    kind: 'put' as const,
    key,
    value,
  }));
  const commit = await into.transact({ operations });
  if (!commit.committed) throw new Error('not committed');
  return commit.revision;
}

async function open(over: Store = store): Promise<{ fleet: Fleet; changes: FleetChange[] }> {
  fleet = await Fleet.open({ store: over, log: silentLog, clock: systemClock, fleetName: 'test' });
  const changes: FleetChange[] = [];
  fleet.subscribe((change) => changes.push(change));
  return { fleet, changes };
}

test('the first change holds everything, later ones what they touch, and untouched parts are shared', async () => {
  const { fleet, changes } = await open();
  expect(changes).toHaveLength(1);
  expect(changes[0]?.previous).toBeUndefined();
  expect([...(changes[0]?.touchedHosts ?? [])].sort()).toEqual(['blog.example', 'shop.example']);
  const before = fleet.state();

  await fleet.reached(await put(store, { services: [{ cluster: 'eu', name: 'shop/web', ports: { '80': 5 } }] }));
  expect(changes).toHaveLength(2);
  expect([...(changes[1]?.touchedHosts ?? [])]).toEqual(['shop.example']);
  expect(changes[1]?.clustersTouched).toBe(false);
  expect(changes[1]?.previous).toBe(before);
  expect(fleet.state().clusters.get('eu')?.services.get('shop/web')?.ports[0]?.ready).toBe(5);
  expect(before.clusters.get('eu')?.services.get('shop/web')?.ports[0]?.ready).toBe(1);
  expect(fleet.state().owners).toBe(before.owners);
});

test('a host that moves touches the old and the new; a removal touches what goes', async () => {
  const { fleet, changes } = await open();
  await fleet.reached(
    await put(store, { ingresses: [{ cluster: 'eu', name: 'blog/blog', rules: ['news.example/ Prefix web:80'] }] }),
  );
  expect([...(changes.at(-1)?.touchedHosts ?? [])].sort()).toEqual(['blog.example', 'news.example']);
  const gone = await store.transact({
    operations: [{ kind: 'delete', key: keys.report('eu', 'ingress', 'blog/blog') }],
  });
  await fleet.reached(gone.committed ? gone.revision : 0n);
  expect([...(changes.at(-1)?.touchedHosts ?? [])]).toEqual(['news.example']);
  expect(fleet.index().hosts.has('news.example')).toBe(false);
});

test.each([
  [{ group: 'headgate.dev', kind: 'Route', name: 'cart.example/' }, ['cart.example']],
  [{ group: 'networking.k8s.io', kind: 'Ingress', name: 'cart' }, ['cart.example']],
  [{ group: '', kind: 'Namespace', name: 'shop' }, ['cart.example', 'shop.example']],
])("a policy at the hub or of a member's touches the hosts of its target alone: %j", async (target, hosts) => {
  const { fleet, changes } = await open();
  await fleet.reached(
    await put(store, { ingresses: [{ cluster: 'eu', name: 'shop/cart', rules: ['cart.example/ Prefix web:80'] }] }),
  );
  const policy = { kind: 'TrafficPolicy', name: 'shop/cart', spec: { targetRefs: [target] } };
  for (const written of [policy, { ...policy, cluster: 'eu' }]) {
    await fleet.reached(await put(store, { policies: [written] }));
    expect([...(changes.at(-1)?.touchedHosts ?? [])].sort()).toEqual(hosts);
  }
});
