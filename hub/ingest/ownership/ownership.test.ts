import { describe, expect, test } from 'vitest';
import type { Clock } from '../../../lib/clock.ts';
import { systemClock } from '../../../lib/clock.ts';
import { silentLog } from '../../../lib/log.ts';
import { Ingress } from '../../../proto/gen/headgate/v1/reported.ts';
import type { HostUse } from '../../fleet/fleet-index.ts';
import { Fleet } from '../../fleet/fleet.ts';
import type { CommittedIngress, OwnershipRecord } from '../../fleet/state.ts';
import { confirmGuard } from '../guard/confirm-guard.ts';
import { departureOf, forgetCluster } from '../forget-cluster.ts';
import { listGuards } from '../guard/open-guard.ts';
import { decideOwnership, type OwnershipView, runOwnership } from './ownership.ts';
import { claim, ingress, keysUnder, owners, Reporter, service, temporaryStore } from '../ingest.fixture.ts';

const GRACE = 600_000;

const many = (namespace: string) =>
  Array.from({ length: 100 }, (_, i) => ingress(`${namespace}/i${i}`, `${namespace}${i}.example/`));

/** @param claims `<cluster> <namespace>/<name> <host> <revision>` */
function fleet(records: OwnershipRecord[], ...claims: string[]): OwnershipView {
  const uses = new Map<string, Map<string, HostUse>>();
  const clusters = new Map<string, Map<string, CommittedIngress>>();
  for (const line of claims) {
    const [cluster = '', name = '', host = '', revision = '0'] = line.split(' ');
    const value = Ingress.decode(ingress(name, `${host}/`).body);
    const at = BigInt(revision);
    const ingressKey = `${name}#${host}`;
    uses.set(host, (uses.get(host) ?? new Map()).set(`${cluster}/${ingressKey}`, { cluster, ingress: ingressKey }));
    const one = {
      value,
      createRevision: at,
      modRevision: at,
      claimedAt: new Map([[claim(`${host}/`), at]]),
      heldBy: undefined,
    };
    clusters.set(cluster, (clusters.get(cluster) ?? new Map()).set(ingressKey, one));
  }
  const none = new Map();
  const rest = { info: undefined, services: none, policies: none, nodes: none, certificates: none };
  const state = {
    owners: new Map(records.map((record) => [record.host, record])),
    clusters: new Map(
      [...clusters].map(([name, ingresses]) => [
        name,
        { name, ingresses, ...rest, problems: none, verdicts: none, health: none, splits: none },
      ]),
    ),
  };
  return { state, uses };
}

const changes = (view: OwnershipView, now = 1_000_000): (OwnershipRecord | undefined)[] =>
  decideOwnership(view, new Set([...view.state.owners.keys(), ...view.uses.keys()]), now, GRACE).map(({ to }) => to);

describe('the ownership decision', () => {
  const x = { host: 'x', namespace: 'shop' };

  test('leaves what stands alone', () => {
    expect(changes(fleet([x], 'eu shop/web x 5', 'us rival/web x 3'))).toEqual([]);
  });

  test('releases what has no claim of its namespace left, a rival’s notwithstanding', () => {
    expect(changes(fleet([x], 'us rival/web x 3'))).toEqual([{ ...x, releasedAt: 1_000_000 }]);
    expect(changes(fleet([x]))).toEqual([{ ...x, releasedAt: 1_000_000 }]);
  });

  test('revives what is claimed again, even after the grace time', () => {
    expect(changes(fleet([{ ...x, releasedAt: 1 }], 'us rival/web x 3', 'eu shop/web x 9'))).toEqual([x]);
  });

  test('keeps the host for the grace time, then gives it to the claim committed first', () => {
    const released = { ...x, releasedAt: 1_000_000 };
    const state = fleet([released], 'eu b/web x 8', 'us rival/web x 7', 'ap c/web x 7');
    expect(changes(state, 1_000_000 + GRACE - 1)).toEqual([]);
    expect(changes(state, 1_000_000 + GRACE)).toEqual([{ host: 'x', namespace: 'c' }]);
    expect(changes(fleet([released]), 1_000_000 + GRACE)).toEqual([undefined]);
  });

  test('gives a host without a record to its first claim, and rules without a host to nobody', () => {
    expect(changes(fleet([], 'eu shop/web x 5', 'us rival/web x 3'))).toEqual([{ host: 'x', namespace: 'rival' }]);
    expect(changes(fleet([], 'eu shop/web * 5'))).toEqual([]);
  });
});

test('ownership follows the fleet: held claims stand, confirmed ones are released, then the next has the host', async () => {
  await using temporary = await temporaryStore();
  const { store } = temporary;
  await using fleet = await Fleet.open({ store, log: silentLog, clock: systemClock, fleetName: 'f' });
  let wall = 1_000_000;
  const looks: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    wall: () => wall,
    sleep: (_ms, signal) =>
      new Promise((resolve, reject) => {
        looks.push(resolve);
        signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
      }),
  };
  const stop = new AbortController();
  const loop = runOwnership({ store, fleet, clock, log: silentLog }, stop.signal);
  /** The loop has looked at everything that the store has by now. */
  const looked = async (): Promise<string[]> => {
    for (let round = 0; round < 2; round++) {
      await fleet.reached((await store.range('~')).revision);
      while (looks.length === 0) await new Promise((resolve) => setImmediate(resolve));
      looks.shift()?.();
      while (looks.length === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return await owners(store);
  };

  const eu = await Reporter.open(store, 'eu');
  const us = await Reporter.open(store, 'us');
  await eu.report([ingress('shop/web', 'x.example/'), service('shop/web', 1)]);
  await us.report([ingress('rival/web', 'x.example/')]);
  expect(await looked()).toEqual(['x.example shop']);

  await eu.report([], [ingress('shop/web'), service('shop/web', 1)], true);
  expect(await looked()).toEqual(['x.example shop']);
  const [guard] = await listGuards(store);
  await confirmGuard(store, guard?.id ?? '');
  expect(await looked()).toEqual(['x.example shop released']);

  await eu.report([ingress('shop/web', 'x.example/')]);
  expect(await looked()).toEqual(['x.example shop']);

  expect(departureOf(fleet.state(), 'eu')).toEqual({ ingresses: 1, routes: 1, lastHosts: [] });
  expect(departureOf(fleet.state(), 'us').lastHosts).toEqual([]);
  await forgetCluster(store, 'eu');
  expect(await keysUnder(store, 'report/eu/')).toEqual([]);
  expect(departureOf({ clusters: fleet.state().clusters }, 'nobody')).toEqual({
    ingresses: 0,
    routes: 0,
    lastHosts: [],
  });
  expect(await looked()).toEqual(['x.example shop released']);
  wall += GRACE;
  expect(await looked()).toEqual(['x.example rival']);
  expect(departureOf(fleet.state(), 'us')).toEqual({ ingresses: 1, routes: 1, lastHosts: ['x.example'] });

  stop.abort();
  await loop;
});

test('a forgotten cluster leaves no guard behind', async () => {
  await using temporary = await temporaryStore();
  const { store } = temporary;
  const eu = await Reporter.open(store, 'eu');
  const us = await Reporter.open(store, 'us');
  await eu.report(many('a'));
  await us.report(many('b'));
  await eu.report([], many('a'));
  await us.report([], many('b').slice(0, 50));
  await forgetCluster(store, 'eu');
  expect((await listGuards(store)).map(({ cluster }) => cluster)).toEqual(['us']);
  expect(await keysUnder(store, 'held/')).toHaveLength(50);
  expect(await keysUnder(store, 'report/')).toHaveLength(50);
  expect(await owners(store)).toHaveLength(200);
});
