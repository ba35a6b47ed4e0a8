import { setImmediate } from 'node:timers';
import { type Clock, fullJitter } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Epoch } from '../../lib/sync/index.ts';
import type { Store, WatchBatch } from '../store/store.ts';
import type { FleetChange, FleetSubscriber } from './change.ts';
import { FleetDraft, type FleetVersion } from './fleet-draft.ts';
import type { FleetIndex } from './fleet-index.ts';
import { HeldReports } from './held-reports.ts';
import { roundStale, staleThresholds } from './staleness.ts';
import type { FleetState } from './state.ts';

export interface FleetOptions {
  readonly store: Store;
  readonly log: Log;
  readonly clock: Clock;
  readonly fleetName: string;
}

/** The whole store: one watch, so that changes keep the order of their transactions. */
const EVERYTHING = '';
/** Longest that a committed write is waited for, in milliseconds. */
const REACHED_MS = 10_000;

/**
 * The fleet's state as the store has it, and every change of it. Batches that arrive within one turn of the
 * event loop are published as one. A lost watch is answered by listing again, beside the state that stands:
 * no subscriber ever sees half a list.
 */
export class Fleet implements AsyncDisposable {
  readonly #options: FleetOptions;
  readonly #stop = new AbortController();
  readonly #subscribers = new Set<FleetSubscriber>();
  readonly #waiting = new Set<Waiting>();
  /** Milliseconds without a fresh report, as presence says. */
  readonly #heard = new Map<string, number>();
  #held = new HeldReports();
  #thresholds: ReadonlySet<number>;
  #epoch: Epoch;
  #version: FleetVersion;
  #draft: FleetDraft | undefined;
  #revision: bigint;
  #queued = false;
  #watching: Promise<void> = Promise.resolve();

  /** Lists the store once; resolves when all of it is there. Throws HG4001 where it cannot be read. */
  static async open(options: FleetOptions): Promise<Fleet> {
    const loaded = await load(options);
    const fleet = new Fleet(options, loaded);
    fleet.#watching = fleet.#watch();
    return fleet;
  }

  private constructor(options: FleetOptions, loaded: Loaded) {
    this.#options = options;
    this.#epoch = loaded.epoch;
    this.#held = loaded.held;
    this.#version = loaded.change;
    this.#thresholds = staleThresholds(loaded.change.state);
    this.#revision = loaded.change.revision;
  }

  state(): FleetState {
    return this.#version.state;
  }

  index(): FleetIndex {
    return this.#version.index;
  }

  /**
   * Calls at once with everything that is there, as a first change, then with every change.
   * @returns what ends it.
   */
  subscribe(subscriber: FleetSubscriber): () => void {
    const { state, index } = this.#version;
    subscriber({
      state,
      index,
      previous: undefined,
      touchedHosts: new Set(index.hosts.keys()),
      clustersTouched: true,
      everything: true,
      policies: [],
      ingresses: new Set(),
      revision: state.revision,
    });
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  /**
   * Resolves when a revision has been published to every subscriber.
   *
   * @throws HG4001 when it has not within the deadline, or the fleet is closed first
   */
  async reached(revision: bigint): Promise<void> {
    if (this.state().revision >= revision) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = { revision, resolve, reject };
    this.#waiting.add(waiting);
    const timer = setTimeout(() => {
      reject(new HeadgateError('HG4001', `the write is committed as revision ${revision}, but is not in force yet`));
    }, REACHED_MS);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(waiting);
    }
  }

  /** @param ms without a fresh report from the cluster; 0 when fresh. Cheap to call often. */
  setStale(cluster: string, ms: number): void {
    if (ms === 0) this.#heard.delete(cluster);
    else this.#heard.set(cluster, ms);
    if (roundStale(this.#thresholds, ms) !== (this.state().staleMs.get(cluster) ?? 0)) this.#queue();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    this.#subscribers.clear();
    for (const { reject } of this.#waiting) reject(new HeadgateError('HG4001', 'the hub is closing'));
    this.#waiting.clear();
  }

  async #watch(): Promise<void> {
    const { store, log, clock } = this.#options;
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted;) {
      try {
        for await (const batch of store.watch(EVERYTHING, this.#revision, signal)) {
          failures = 0;
          this.#take(batch);
        }
        if (!signal.aborted) throw new HeadgateError('HG4002', 'the watch ended');
      } catch (thrown) {
        if (signal.aborted) return;
        const error = HeadgateError.from(thrown, 'HG4001');
        log.warn('the watch of the store was lost; listing again', { error });
        await clock.sleep(fullJitter(clock, failures++, 100, 5_000), signal).catch(() => undefined);
        await this.#relist().catch((again: unknown) => log.error('the store cannot be listed', { error: again }));
      }
    }
  }

  #take({ revision, changes }: WatchBatch): void {
    const draft = this.#begin();
    for (const change of changes) draft.apply(change);
    this.#revision = revision;
    this.#queue();
  }

  async #relist(): Promise<void> {
    const loaded = await load(this.#options);
    // What was half applied is in the list.
    this.#draft = undefined;
    this.#held = loaded.held;
    this.#epoch = loaded.epoch;
    this.#revision = loaded.change.revision;
    const touchedHosts = new Set([...this.#version.index.hosts.keys(), ...loaded.change.touchedHosts]);
    this.#thresholds = staleThresholds(loaded.change.state);
    const state = { ...loaded.change.state, staleMs: this.#staleness() };
    this.#publish({ ...loaded.change, state, touchedHosts });
  }

  #begin(): FleetDraft {
    this.#draft ??= new FleetDraft(this.#version, this.#held, (error) => logCorrupt(this.#options.log, error));
    return this.#draft;
  }

  #queue(): void {
    if (this.#queued) return;
    this.#queued = true;
    setImmediate(() => {
      this.#queued = false;
      if (!this.#stop.signal.aborted) this.#flush();
    });
  }

  #flush(): void {
    const draft = this.#begin();
    this.#draft = undefined;
    const before = this.state();
    const { fleetName, staleMs } = before;
    const change = draft.done(this.#revision, { epoch: this.#epoch, fleetName, staleMs });
    if (draft.staleThresholdsTouched) this.#thresholds = staleThresholds(change.state);
    const rounded = this.#staleness();
    if (sameNumbers(rounded, staleMs)) return this.#publish(change);
    return this.#publish({ ...change, state: { ...change.state, staleMs: rounded }, clustersTouched: true });
  }

  #staleness(): ReadonlyMap<string, number> {
    const rounded = [...this.#heard].map(([cluster, ms]): [string, number] => [
      cluster,
      roundStale(this.#thresholds, ms),
    ]);
    return new Map(rounded.filter(([, ms]) => ms > 0));
  }

  #publish(change: Omit<FleetChange, 'previous'>): void {
    const previous = this.#version.state;
    this.#version = change;
    for (const subscriber of this.#subscribers) subscriber({ ...change, previous });
    for (const waiting of this.#waiting) {
      if (change.revision < waiting.revision) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }
}

interface Waiting {
  readonly revision: bigint;
  readonly resolve: () => void;
  readonly reject: (error: HeadgateError) => void;
}

interface Loaded {
  readonly change: Omit<FleetChange, 'previous'>;
  readonly held: HeldReports;
  readonly epoch: Epoch;
}

async function load({ store, log, fleetName }: FleetOptions): Promise<Loaded> {
  const epoch = await store.epoch();
  const page = await store.range(EVERYTHING);
  const held = new HeldReports();
  const draft = new FleetDraft(undefined, held, (error) => logCorrupt(log, error));
  for (const entry of page.entries) draft.apply({ kind: 'put', entry });
  return { change: draft.done(page.revision, { epoch, fleetName, staleMs: new Map() }), held, epoch };
}

function logCorrupt(log: Log, error: unknown): void {
  log.error('a stored value cannot be used and is left out', { error });
}

function sameNumbers(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
