import { expect, test } from 'vitest';
import { Fleet } from '../../hub/fleet/fleet.ts';
import { confirmGuard } from '../../hub/ingest/guard/confirm-guard.ts';
import { listGuards } from '../../hub/ingest/guard/open-guard.ts';
import { PresenceRegister } from '../../hub/presence.ts';
import { ReportService } from '../../hub/ingest/report-service.ts';
import { ingress, service, temporaryStore } from '../../hub/ingest/ingest.fixture.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { pipePair, Publication, type Resource, Sender, SpeakerRegister } from '../../lib/sync/index.ts';
import type { ReceiverFrame, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';

/** A hub's store, fleet and receiving end, with one cluster that reports to it. */
async function fleetOfOne() {
  const { store, ...temporary } = await temporaryStore();
  const fleet = await Fleet.open({ store, log: silentLog, clock: systemClock, fleetName: 'f' });
  const stop = new AbortController();
  let held = 0;
  const reports = new ReportService({
    store,
    clock: systemClock,
    log: silentLog,
    speakers: new SpeakerRegister(),
    presence: new PresenceRegister(systemClock),
    signal: stop.signal,
    onHeld: () => (held += 1),
  });
  let count = 0n;
  let end: (() => Promise<unknown>) | undefined;

  /** A (re)started agent that lists exactly these objects; resolves when the hub has them. */
  const connect = async (
    listed: readonly Resource[],
  ): Promise<(upserts: readonly Resource[], removals: readonly Resource[]) => Promise<void>> => {
    await end?.();
    const publication = new Publication();
    publication.publish({ upserts: listed, removals: [] });
    const [hubEnd, agentEnd] = pipePair<ReceiverFrame, SenderFrame>();
    const closing = new AbortController();
    count += 1n;
    let acknowledged = Promise.withResolvers<void>();
    const sender = new Sender(agentEnd, publication, {
      clock: systemClock,
      log: silentLog,
      speaker: { count, instance: `i${count}` },
      signal: closing.signal,
      onAck: () => acknowledged.resolve(),
    });
    publication.subscribe(sender);
    const running = Promise.all([
      reports.report({ identity: { kind: 'cluster', fleet: 'f', cluster: 'eu' } }, hubEnd),
      sender.run(),
    ]);
    end = async () => (closing.abort(), await running);
    await acknowledged.promise;
    return async (upserts, removals) => {
      acknowledged = Promise.withResolvers();
      publication.publish({ upserts, removals });
      await acknowledged.promise;
    };
  };

  return {
    store,
    connect,
    heldCount: () => held,
    /** `<namespace>/<name>`, of what the fleet serves: reported and held. */
    served: async () => {
      await fleet.reached((await store.range('guard/')).revision);
      const eu = fleet.state().clusters.get('eu');
      return { ingresses: [...(eu?.ingresses.keys() ?? [])].sort(), services: [...(eu?.services.keys() ?? [])].sort() };
    },
    [Symbol.asyncDispose]: async () => {
      await end?.();
      stop.abort();
      await fleet[Symbol.asyncDispose]();
      await temporary[Symbol.asyncDispose]();
    },
  };
}

const app = (namespace: string, i: number): Resource[] => [
  ingress(`${namespace}/app${i}`, `app${i}.${namespace}.example/`),
  service(`${namespace}/app${i}`, 2),
];
const apps = (namespace: string, count: number): Resource[] =>
  Array.from({ length: count }, (_, i) => app(namespace, i)).flat();
const namesOf = (objects: readonly Resource[], type: string): string[] =>
  objects.flatMap((one) => (one.type === type ? [one.name] : [])).sort();
const everything = (objects: readonly Resource[]) => ({
  ingresses: namesOf(objects, 'ingress'),
  services: namesOf(objects, 'service'),
});

test.each([1, 10, 50])('promise-12 shrink guard: an empty report after %i routes is held to 100 %', async (routes) => {
  await using hub = await fleetOfOne();
  const full = apps('shop', routes);
  await hub.connect(full);
  expect(await hub.served()).toEqual(everything(full));
  await hub.connect([]);
  expect(await hub.served()).toEqual(everything(full));
  expect(await listGuards(hub.store)).toMatchObject([
    { cluster: 'eu', message: `${routes} of ${routes} routes of eu` },
  ]);
  expect(hub.heldCount()).toBe(1);
  // Silent again, and again: still held.
  await hub.connect([]);
  expect(await hub.served()).toEqual(everything(full));
  // The cluster finds its objects again: nothing to confirm.
  await hub.connect(full);
  expect(await listGuards(hub.store)).toEqual([]);
  expect(await hub.served()).toEqual(everything(full));
});

test('promise-12 shrink guard: a partial report is held to 100 %, its additions and edits go on', async () => {
  await using hub = await fleetOfOne();
  const full = apps('shop', 100);
  await hub.connect(full);
  // 30 of 100 are missing, one has another host, and two are new.
  const edited = ingress('shop/app99', 'renamed.shop.example/', 'app99.shop.example/');
  const partial = [...full.slice(60, -2), edited, service('shop/app99', 5), ...apps('new', 2)];
  const change = await hub.connect(partial);
  const all = everything([...full, ...apps('new', 2)]);
  expect(await hub.served()).toEqual(all);
  const [guard] = await listGuards(hub.store);
  expect(guard?.message).toBe('30 of 100 routes of eu');
  // Meanwhile more comes, and one more goes: that is held too, until somebody has looked.
  await change(app('late', 1), []);
  await change([], app('shop', 50));
  expect((await hub.served()).ingresses).toEqual([...all.ingresses, 'late/app1'].sort());
  expect((await listGuards(hub.store)).map(({ message }) => message)).toEqual(['31 of 104 routes of eu']);

  await confirmGuard(hub.store, guard?.id ?? '');
  const left = everything([...partial, ...app('late', 1)].filter(({ name }) => name !== 'shop/app50'));
  expect(await hub.served()).toEqual(left);
  expect(await listGuards(hub.store)).toEqual([]);
  // What was confirmed stays away.
  await hub.connect([...partial, ...app('late', 1)].filter(({ name }) => name !== 'shop/app50'));
  expect(await hub.served()).toEqual(left);
});

test('promise-12 shrink guard: a namespace that goes at once is held to 100 %', async () => {
  await using hub = await fleetOfOne();
  const shop = apps('shop', 15);
  const blog = apps('blog', 40);
  const change = await hub.connect([...shop, ...blog]);
  await change([], shop);
  expect(await hub.served()).toEqual(everything([...shop, ...blog]));
  const [guard] = await listGuards(hub.store);
  expect(guard).toMatchObject({ message: '15 of 55 routes of eu' });
  expect(guard?.holds).toHaveLength(30);
  await confirmGuard(hub.store, guard?.id ?? '');
  expect(await hub.served()).toEqual(everything(blog));
});

test('promise-12 shrink guard: small removals and moves pass', async () => {
  await using hub = await fleetOfOne();
  const full = apps('shop', 50);
  const change = await hub.connect(full);
  await change([], full.slice(0, 20));
  expect(await hub.served()).toEqual(everything(full.slice(20)));
  // All routes move to one other Ingress.
  const hosts = Array.from({ length: 40 }, (_, i) => `app${i + 10}.shop.example/`);
  await change(
    [ingress('shop/one', ...hosts)],
    full.slice(20).filter(({ type }) => type === 'ingress'),
  );
  expect((await hub.served()).ingresses).toEqual(['shop/one']);
  expect(hub.heldCount()).toBe(0);
});
