import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
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

test("a policy at the hub that targets routes alone touches their hosts, a member's its whole namespace", async () => {
  const { fleet, changes } = await open();
  await fleet.reached(
    await put(store, { ingresses: [{ cluster: 'eu', name: 'shop/cart', rules: ['cart.example/ Prefix web:80'] }] }),
  );
  const spec = { targetRefs: [{ group: 'headgate.dev', kind: 'Route', name: 'cart.example/' }] };
  const policy = { kind: 'TrafficPolicy', name: 'shop/cart', spec };
  await fleet.reached(await put(store, { policies: [policy] }));
  expect([...(changes.at(-1)?.touchedHosts ?? [])]).toEqual(['cart.example']);
  await fleet.reached(await put(store, { policies: [{ ...policy, cluster: 'eu' }] }));
  expect([...(changes.at(-1)?.touchedHosts ?? [])].sort()).toEqual(['cart.example', 'shop.example']);
});

test('a held removal goes on counting until the guard lets go', async () => {
  const { fleet } = await open();
  const key = keys.report('eu', 'ingress', 'blog/blog');
  const held = keys.held('g1', 'eu', 'ingress', 'blog/blog');
  const entry = await store.get(key);
  const move = await store.transact({
    operations: [
      { kind: 'delete', key },
      { kind: 'put', key: held, value: entry?.value ?? new Uint8Array() },
    ],
  });
  await fleet.reached(move.committed ? move.revision : 0n);
  expect(fleet.state().clusters.get('eu')?.ingresses.get('blog/blog')?.heldBy).toBe('g1');
  const free = await store.transact({ operations: [{ kind: 'delete', key: held }] });
  await fleet.reached(free.committed ? free.revision : 0n);
  expect(fleet.state().clusters.get('eu')?.ingresses.has('blog/blog')).toBe(false);
});

test('a policy touches its namespace, a label every host, a cordon none', async () => {
  const { fleet, changes } = await open();
  const policy = {
    kind: 'TrafficPolicy',
    name: 'shop/p',
    spec: { targetRefs: [{ group: '', kind: 'Namespace', name: 'shop' }] },
  };
  await fleet.reached(await put(store, { policies: [policy] }));
  expect([...(changes.at(-1)?.touchedHosts ?? [])]).toEqual(['shop.example']);
  await fleet.reached(await put(store, { policies: [{ kind: 'Cluster', name: 'eu', spec: { labels: { a: 'b' } } }] }));
  expect(changes.at(-1)?.touchedHosts.size).toBe(2);
  const cordoned = { kind: 'Cluster', name: 'eu', spec: { labels: { a: 'b' }, cordoned: true } };
  await fleet.reached(await put(store, { policies: [cordoned] }));
  expect(changes.at(-1)?.touchedHosts.size).toBe(0);
  expect(changes.at(-1)?.clustersTouched).toBe(true);
});

test('a value that cannot be used is left out and stops nothing else', async () => {
  const { fleet } = await open();
  const commit = await store.transact({
    operations: [
      { kind: 'put', key: keys.report('eu', 'ingress', 'bad/bad'), value: Buffer.from('junk') },
      { kind: 'put', key: keys.policy('TrafficPolicy', 'shop', 'bad'), value: Buffer.from([0xff, 0xff]) },
      { kind: 'put', key: keys.owner('bad.example'), value: Buffer.from('{') },
      { kind: 'put', key: keys.cluster('ap'), value: Buffer.from('{"name":"ap"}') },
    ],
  });
  await fleet.reached(commit.committed ? commit.revision : 0n);
  expect(fleet.state().members.has('ap')).toBe(true);
  expect(fleet.state().owners.has('bad.example')).toBe(false);
  expect(fleet.state().trafficPolicies.size).toBe(0);
});

test('staleness is published when it crosses a threshold that a policy names', async () => {
  const spec = { onStale: { after: '60s', action: 'Drop' } };
  await put(store, { policies: [{ kind: 'TrafficPolicy', name: 'ops/fleet', spec }] });
  const { fleet, changes } = await open();
  fleet.setStale('us', 59_000);
  const next = new Promise<FleetChange>((resolve) => {
    let first = true;
    fleet.subscribe((change) => (first ? (first = false) : resolve(change)));
  });
  fleet.setStale('us', 61_000);
  expect((await next).state.staleMs.get('us')).toBe(60_000);
  expect(changes).toHaveLength(2);
  expect(changes[1]?.clustersTouched).toBe(true);
});

test('a lost watch is answered by a new list, never by half a state', async () => {
  // The real store behind a watch that breaks once after its first batch.
  let watches = 0;
  const breaking: Store = {
    epoch: () => store.epoch(),
    renewEpoch: () => store.renewEpoch(),
    get: (key) => store.get(key),
    range: (prefix) => store.range(prefix),
    transact: (transaction) => store.transact(transaction),
    lease: (ttl) => store.lease(ttl),
    [Symbol.asyncDispose]: async () => undefined,
    watch: async function* (prefix, from, signal) {
      watches += 1;
      for await (const batch of store.watch(prefix, from, signal)) {
        if (watches === 1) throw new HeadgateError('HG4002', 'the watch was lost');
        yield batch;
      }
    },
  };
  const { fleet, changes } = await open(breaking);
  const revision = await put(store, {
    ingresses: [{ cluster: 'us', name: 'shop/shop', rules: ['shop.example/ Prefix web:80'] }],
  });
  await fleet.reached(revision);
  expect(fleet.state().clusters.get('us')?.ingresses.size).toBe(1);
  for (const { state } of changes) expect(state.clusters.get('eu')?.ingresses.size).toBe(2);
  expect(changes.at(-1)?.touchedHosts.has('blog.example')).toBe(true);
  const after = await put(store, { owners: { 'x.example': 'shop' } });
  await fleet.reached(after);
  expect(watches).toBe(2);
});
