import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import {
  type AcceptedDelta,
  Inventory,
  pipePair,
  Receiver,
  type ReceiverSink,
  SpeakerRegister,
} from '../../lib/sync/index.ts';
import { Host, ObjectStatus } from '../../proto/gen/headgate/v1/configured.ts';
import type { ReceiverFrame, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import { type SmallFleet, storeEntries } from '../../test/hub/small-fleet.ts';
import { Compiler } from '../compile/compiler.ts';
import { Fleet } from '../fleet/fleet.ts';
import { PresenceRegister } from '../presence.ts';
import { openEmbeddedStore } from '../store/embedded.ts';
import { keys } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import { Distributor } from './distributor.ts';

const small: SmallFleet = {
  members: ['eu', 'us'],
  owners: { 'shop.example': 'shop', 'blog.example': 'blog' },
  ingresses: [
    { cluster: 'eu', name: 'shop/shop', rules: ['shop.example/ Prefix web:80'] },
    { cluster: 'us', name: 'shop/shop', rules: ['shop.example/ Prefix web:80'] },
    { cluster: 'us', name: 'blog/blog', rules: ['blog.example/ Prefix web:80'] },
  ],
  services: [{ cluster: 'eu', name: 'shop/web', ports: { '80': 1 } }],
  nodes: [{ cluster: 'eu', name: 'n1', gateway: '10.0.0.1:7444' }],
};

/** A cluster agent's end: a copy that outlives its streams. */
class Agent {
  readonly inventory = new Inventory();
  readonly deltas: AcceptedDelta[] = [];
  readonly #cluster: string;
  #held: ReturnType<ReceiverSink['held']>;
  #arrived: () => void = () => undefined;

  constructor(cluster: string) {
    this.#cluster = cluster;
  }

  names(type: string): string[] {
    return [...this.inventory.ofType(type)].map(({ name }) => name).sort();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => (this.#arrived = resolve));
  }

  /** @returns what ends the stream. */
  connect(to: Distributor): () => Promise<void> {
    const stop = new AbortController();
    const [hubEnd, agentEnd] = pipePair<SenderFrame, ReceiverFrame>();
    const sink: ReceiverSink = {
      inventory: this.inventory,
      held: () => this.#held,
      accept: async (delta) => {
        this.inventory.apply(delta);
        this.#held = delta;
        this.deltas.push(delta);
        // After the acknowledgement has gone out.
        setImmediate(() => this.#arrived());
        return [];
      },
    };
    const options = { clock: systemClock, log: silentLog, signal: stop.signal };
    const speaker = { count: 1n, instance: `${this.#cluster}-1` };
    const identity = { kind: 'cluster', fleet: 'test', cluster: this.#cluster } as const;
    const both = Promise.all([
      to.serve(identity, hubEnd, stop.signal),
      new Receiver(agentEnd, sink, { ...options, speaker }).run(),
    ]);
    return async () => {
      stop.abort();
      await both;
    };
  }
}

let folder: string;
let store: Store;
let fleet: Fleet | undefined;
let stops: (() => Promise<void>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headgate-distribute-'));
  store = await openEmbeddedStore({ folder, clock: systemClock, log: silentLog });
  await put(small);
});

afterEach(async () => {
  for (const stop of stops) await stop();
  stops = [];
  await fleet?.[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function put(given: Partial<SmallFleet>): Promise<void> {
  const entries = storeEntries({ members: [], ...given });
  await store.transact({ operations: entries.map(({ key, value }) => ({ kind: 'put', key, value })) });
}

function hub(): { distributor: Distributor; presence: PresenceRegister; load: () => Promise<Fleet> } {
  const presence = new PresenceRegister(systemClock);
  const distributor = new Distributor({
    clock: systemClock,
    log: silentLog,
    presence,
    speakers: new SpeakerRegister(),
  });
  const load = async (): Promise<Fleet> => {
    const opened = await Fleet.open({ store, log: silentLog, clock: systemClock, fleetName: 'test' });
    const compiler = new Compiler();
    opened.subscribe((change) => distributor.apply(compiler.apply(change), change.state.epoch));
    fleet = opened;
    return opened;
  };
  return { distributor, presence, load };
}

test('silent until the fleet has loaded, then each cluster gets its own hosts, backends, every peer and settings', async () => {
  const { distributor, load, presence } = hub();
  const [eu, us] = [new Agent('eu'), new Agent('us')];
  stops.push(eu.connect(distributor), us.connect(distributor));
  expect(eu.deltas).toHaveLength(0);
  const { revision } = (await load()).state();
  await Promise.all([eu.until(() => eu.deltas.length > 0), us.until(() => us.deltas.length > 0)]);
  expect(eu.deltas[0]?.endOfSnapshot).toBe(true);
  expect(eu.names('host')).toEqual(['shop.example']);
  expect(eu.names('backend')).toEqual(['shop/web/80']);
  expect(eu.names('peer')).toEqual(['eu', 'us']);
  expect(eu.names('settings')).toEqual(['cluster']);
  expect(us.names('host')).toEqual(['blog.example', 'shop.example']);
  expect(us.names('backend')).toEqual(['blog/web/80', 'shop/web/80']);
  expect(presence.connected('eu')).toBe(true);
  expect(presence.acknowledgedRevision('eu')).toBe(revision);
  expect(distributor.bytesSent('eu')).toBeGreaterThan(0);
});

test('a change goes to whom it concerns; the others count as up to date without a byte', async () => {
  const { distributor, load, presence } = hub();
  const fleet = await load();
  const [eu, us] = [new Agent('eu'), new Agent('us')];
  stops.push(eu.connect(distributor), us.connect(distributor));
  await Promise.all([eu.until(() => eu.deltas.length === 1), us.until(() => us.deltas.length === 1)]);
  const before = distributor.bytesSent('eu');
  await put({
    ingresses: [{ cluster: 'us', name: 'blog/blog', rules: ['news.example/ Prefix web:80'] }],
    owners: { 'news.example': 'blog' },
  });
  await us.until(() => us.names('host').includes('news.example'));
  expect(us.names('host')).toEqual(['news.example', 'shop.example']);
  // The backend of the host that went is still another's.
  expect(us.names('backend')).toEqual(['blog/web/80', 'shop/web/80']);
  expect(eu.deltas).toHaveLength(1);
  expect(distributor.bytesSent('eu')).toBe(before);
  expect(presence.acknowledgedRevision('eu')).toBe(fleet.state().revision);

  await put({ services: [{ cluster: 'eu', name: 'shop/web', ports: { '80': 7 } }] });
  const ready = (agent: Agent) => {
    const body = agent.inventory.get('host', 'shop.example')?.body ?? new Uint8Array();
    return Host.decode(body).routes[0]?.contributions[0]?.ready;
  };
  await Promise.all([eu.until(() => ready(eu) === 7), us.until(() => ready(us) === 7)]);
  expect(eu.inventory.get('host', 'shop.example')?.digest).toBe(us.inventory.get('host', 'shop.example')?.digest);
});

test('a reconnect with nothing changed costs no configuration byte', async () => {
  const { distributor, load } = hub();
  await load();
  const eu = new Agent('eu');
  const stop = eu.connect(distributor);
  await eu.until(() => eu.deltas.length === 1);
  await stop();
  const before = distributor.bytesSent('eu');
  stops.push(eu.connect(distributor));
  await eu.until(() => eu.deltas.length === 2);
  expect(eu.deltas[1]).toMatchObject({ upserts: [], removals: [], endOfSnapshot: true });
  expect(distributor.bytesSent('eu')).toBe(before);
});

test('the status of an object goes to its own cluster, and goes with it', async () => {
  const { distributor, load } = hub();
  await load();
  const [eu, us] = [new Agent('eu'), new Agent('us')];
  stops.push(eu.connect(distributor), us.connect(distributor));
  const spec = { targetRefs: [{ group: '', kind: 'Namespace', name: 'shop' }], affinity: {} };
  const policies = [{ kind: 'TrafficPolicy', name: 'shop/p', cluster: 'us', spec }];
  await put({ policies });
  const name = 'TrafficPolicy/shop/p';
  await us.until(() => us.names('status').includes(name));
  const status = us.inventory.get('status', name);
  expect(ObjectStatus.decode(status?.body ?? new Uint8Array())).toMatchObject({
    generation: 1n,
    findings: [],
    fleet: 'in force in 1 of 1 cluster for 1 route',
  });
  const [{ key } = { key: '' }] = storeEntries({ members: [], policies });
  await store.transact({ operations: [{ kind: 'delete', key }] });
  await us.until(() => !us.names('status').includes(name));
  expect(eu.deltas.flatMap(({ upserts }) => upserts).some(({ type }) => type === 'status')).toBe(false);
});

test('a new member is served once the fleet has it, and told to the others', async () => {
  const { distributor, load } = hub();
  await load();
  const [eu, ap] = [new Agent('eu'), new Agent('ap')];
  stops.push(eu.connect(distributor), ap.connect(distributor));
  await eu.until(() => eu.deltas.length === 1);
  expect(ap.deltas).toHaveLength(0);
  await put({ members: ['ap'] });
  await ap.until(() => ap.deltas.length === 1);
  expect(ap.names('peer')).toEqual(['ap', 'eu', 'us']);
  expect(ap.names('host')).toEqual([]);
  await eu.until(() => eu.names('peer').length === 3);
  const gone = store.transact({ operations: [{ kind: 'delete', key: keys.cluster('us') }] });
  await gone;
  await eu.until(() => eu.names('peer').length === 2);
  expect(
    Host.decode(eu.inventory.get('host', 'shop.example')?.body ?? new Uint8Array()).routes[0]?.contributions,
  ).toHaveLength(1);
});

test('only a cluster agent is served', async () => {
  const { distributor } = hub();
  const [hubEnd] = pipePair<SenderFrame, ReceiverFrame>();
  const node = { kind: 'node', fleet: 'test', cluster: 'eu', node: 'n1' } as const;
  await expect(distributor.serve(node, hubEnd, new AbortController().signal)).rejects.toMatchObject({ code: 'HG2006' });
});
