import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Compiler } from '../../hub/compile/compiler.ts';
import { Distributor } from '../../hub/distribute/distributor.ts';
import { Fleet } from '../../hub/fleet/fleet.ts';
import { PresenceRegister } from '../../hub/presence.ts';
import { openEmbeddedStore } from '../../hub/store/embedded.ts';
import { keys } from '../../hub/store/keys.ts';
import { type Entry, type Store, transactionLimits } from '../../hub/store/store.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { Inventory, pipePair, Receiver, type ReceiverSink, SpeakerRegister } from '../../lib/sync/index.ts';
import type { ReceiverFrame, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import { type SmallFleet, storeEntries } from '../hub/small-fleet.ts';

/** Clusters that declare each host. */
const COPIES = 3;
/** Hosts that one cluster declares. */
const HOSTS_PER_CLUSTER = 120;
const HOSTS_PER_NAMESPACE = 20;

type Place = { readonly host: number; readonly cluster: string };

/** A hub's core in this process, without its wire: store, fleet, compiler, and a subscriber for each cluster. */
export class LargeFleet implements AsyncDisposable {
  readonly clusters: number;
  readonly ingresses: number;
  /** Milliseconds to compile everything for the first time. */
  loadMs = 0;
  /** Milliseconds that each compile took since it was emptied. */
  readonly compileTimes: number[] = [];
  readonly #places: readonly Place[];
  readonly #stack = new AsyncDisposableStack();
  readonly #store: Store;
  readonly #fleet: Fleet;
  readonly #agents: readonly Agent[];
  /** By host. */
  readonly #declaring: ReadonlyMap<number, readonly Agent[]>;
  #step = 0;

  private constructor(store: Store, fleet: Fleet, agents: readonly Agent[], places: readonly Place[]) {
    this.#store = store;
    this.#fleet = fleet;
    this.#agents = agents;
    this.#places = places;
    const byName = new Map(agents.map((agent) => [agent.name, agent]));
    const declaring = new Map<number, Agent[]>();
    for (const { host, cluster } of places) {
      const agent = byName.get(cluster);
      if (agent !== undefined) declaring.set(host, [...(declaring.get(host) ?? []), agent]);
    }
    this.#declaring = declaring;
    this.clusters = agents.length;
    this.ingresses = places.length;
  }

  static async open(hosts: number): Promise<LargeFleet> {
    const names = Array.from({ length: Math.max(COPIES, Math.ceil((hosts * COPIES) / HOSTS_PER_CLUSTER)) }, (_, i) =>
      clusterName(i),
    );
    const places = Array.from({ length: hosts * COPIES }, (_, i) => ({
      host: Math.floor(i / COPIES),
      cluster: names[(Math.floor(i / COPIES) * 7 + (i % COPIES)) % names.length] ?? '',
    }));
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'headgate-bench-'));
    stack.defer(async () => await rm(folder, { recursive: true, force: true }));
    const store = stack.use(await openEmbeddedStore({ folder, clock: systemClock, log: silentLog }));
    await putAll(store, storeEntries(whole(names, places, hosts)));

    const fleet = stack.use(await Fleet.open({ store, log: silentLog, clock: systemClock, fleetName: 'bench' }));
    const distributor = new Distributor({
      clock: systemClock,
      log: silentLog,
      presence: new PresenceRegister(systemClock),
      speakers: new SpeakerRegister(),
    });
    const agents = names.map((name) => stack.use(new Agent(name, distributor)));
    const opened = new LargeFleet(store, fleet, agents, places);
    const compiler = new Compiler();
    const started = performance.now();
    fleet.subscribe((change) => {
      const before = performance.now();
      const compiled = compiler.apply(change);
      opened.compileTimes.push(performance.now() - before);
      distributor.apply(compiled, change.state.epoch);
    });
    opened.loadMs = performance.now() - started;
    await Promise.all(agents.map(async (agent) => await agent.delta()));
    opened.#stack.use(stack.move());
    return opened;
  }

  /** Changes one route after another, each when the last one's clusters have acknowledged: a ready count, a path, weights. */
  async changeRoutes(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const { host, cluster } = this.#next();
      const step = ++this.#step;
      const change = [
        { services: [service({ host, cluster }, 2 + step)] },
        { ingresses: [ingress({ host, cluster }, [`/p${step}`])] },
        { policies: [weights({ host, cluster }, step)] },
      ][step % 3];
      await this.#put(change ?? {}, this.#declaring.get(host) ?? []);
    }
  }

  /** Gives one cluster after another a new gateway address, which every cluster is told. */
  async changePeers(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const step = ++this.#step;
      const gateway = `10.1.${Math.floor(step / 200) % 200}.${step % 200}:7444`;
      await this.#put({ nodes: [{ cluster: clusterName(i % this.clusters), name: 'n1', gateway }] }, this.#agents);
    }
  }

  /** Commits what the fleet does not look at. */
  async commitElsewhere(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const value = Buffer.from(JSON.stringify({ step: ++this.#step, filler: 'x'.repeat(200) }));
      const commit = await this.#store.transact({ operations: [{ kind: 'put', key: keys.audit('bench'), value }] });
      if (commit.committed) await this.#fleet.reached(commit.revision);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }

  /** Spread over hosts and clusters, the same in every run. */
  #next(): Place {
    const place = this.#places[(this.#step * 7_919) % this.#places.length];
    if (place === undefined) throw new RangeError('a fleet without a place');
    return place;
  }

  async #put(change: Partial<SmallFleet>, concerned: readonly Agent[]): Promise<void> {
    const told = Promise.all(concerned.map(async (agent) => await agent.delta()));
    await putAll(this.#store, storeEntries({ members: [], ...change }));
    await told;
  }
}

/** A cluster agent's end of Configure, over a pipe in memory. */
class Agent implements AsyncDisposable {
  readonly name: string;
  readonly #stop = new AbortController();
  readonly #done: Promise<unknown>;
  #told: (() => void)[] = [];

  constructor(name: string, distributor: Distributor) {
    this.name = name;
    const { signal } = this.#stop;
    const [hubEnd, agentEnd] = pipePair<SenderFrame, ReceiverFrame>();
    const inventory = new Inventory();
    let held: ReturnType<ReceiverSink['held']>;
    const sink: ReceiverSink = {
      inventory,
      held: () => held,
      accept: (delta) => {
        inventory.apply(delta);
        held = delta;
        // The acknowledgement goes out first.
        setImmediate(() => this.#tell());
        return Promise.resolve([]);
      },
    };
    const speaker = { count: 1n, instance: name };
    const identity = { kind: 'cluster', fleet: 'bench', cluster: name } as const;
    this.#done = Promise.all([
      distributor.serve(identity, hubEnd, signal),
      new Receiver(agentEnd, sink, { clock: systemClock, log: silentLog, signal, speaker }).run(),
    ]);
  }

  /** Resolves when the next delta is acknowledged. */
  async delta(): Promise<void> {
    await new Promise<void>((resolve) => this.#told.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  #tell(): void {
    const told = this.#told;
    this.#told = [];
    for (const resolve of told) resolve();
  }
}

function whole(clusters: readonly string[], places: readonly Place[], hosts: number): SmallFleet {
  return {
    members: [...clusters],
    owners: Object.fromEntries(Array.from({ length: hosts }, (_, host) => [hostName(host), namespaceOf(host)])),
    ingresses: places.map((place) => ingress(place, [])),
    services: places.map((place) => service(place, 2)),
    nodes: clusters.map((cluster, i) => ({
      cluster,
      name: 'n1',
      gateway: `10.0.${Math.floor(i / 200)}.${i % 200}:7444`,
    })),
  };
}

function ingress({ host, cluster }: Place, more: readonly string[]): NonNullable<SmallFleet['ingresses']>[number] {
  const rules = ['/', ...more].map((path) => `${hostName(host)}${path} Prefix ${serviceName(host)}:80`);
  return { cluster, name: `${namespaceOf(host)}/${serviceName(host)}`, rules };
}

function service({ host, cluster }: Place, ready: number): NonNullable<SmallFleet['services']>[number] {
  return { cluster, name: `${namespaceOf(host)}/${serviceName(host)}`, ports: { '80': ready } };
}

/** As `headgate weights` writes it. */
function weights({ host, cluster }: Place, weight: number): NonNullable<SmallFleet['policies']>[number] {
  const target = { group: 'headgate.dev', kind: 'Route', name: hostName(host) };
  const spec = { targetRefs: [target], tiers: [{ clusters: [{ name: cluster, weight }] }] };
  return { kind: 'TrafficPolicy', name: `${namespaceOf(host)}/weights-${host}`, spec };
}

function clusterName(number: number): string {
  return `c${String(number).padStart(3, '0')}`;
}

function hostName(number: number): string {
  return `h${number}.bench.example`;
}

function serviceName(host: number): string {
  return `s${host}`;
}

function namespaceOf(host: number): string {
  return `n${Math.floor(host / HOSTS_PER_NAMESPACE)}`;
}

async function putAll(store: Store, entries: readonly Entry[]): Promise<void> {
  for (let at = 0; at < entries.length; at += transactionLimits.operations) {
    const operations = entries
      .slice(at, at + transactionLimits.operations)
      .map(({ key, value }) => ({ kind: 'put' as const, key, value }));
    await store.transact({ operations });
  }
}
