import { HeadgateError } from '../../lib/errors.ts';
import type { VirtualClock } from '../../lib/virtual-clock.fixture.ts';
import { Journal } from './journal.ts';
import type { Change, Condition, Entry, Lease, Store, Transaction } from './store.ts';

interface ModelLease {
  readonly id: string;
  readonly ttl: number;
  readonly holder: Replica;
  expiresAt: number;
}

/**
 * A store of several replicas as a model: leases run out by the virtual clock while their holder is paused, as
 * etcd's do while a process is stopped.
 */
export class ModelStore {
  readonly entries = new Map<string, Entry & { readonly lease: string | undefined }>();
  readonly #clock: VirtualClock;
  readonly #journal = new Journal(0n, { revisions: 10_000, bytes: 1 << 20 });
  readonly #leases = new Map<string, ModelLease>();
  /** Called at each commit, before it shows. */
  onCommit: (changes: readonly Change[]) => void = () => undefined;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  get revision(): bigint {
    return this.#journal.revision;
  }

  /** Ends what has run out. Whoever runs renews as often as it must. */
  tick(): void {
    const now = this.#clock.now();
    for (const lease of this.#leases.values()) {
      if (!lease.holder.paused) lease.expiresAt = now + lease.ttl;
      else if (lease.expiresAt <= now) this.endLease(lease.id);
    }
  }

  grant(ttl: number, holder: Replica): string {
    const id = `lease-${this.#leases.size}-${this.#clock.random()}`;
    this.#leases.set(id, { id, ttl, holder, expiresAt: this.#clock.now() + ttl });
    return id;
  }

  holds(lease: string): boolean {
    return this.#leases.has(lease);
  }

  endLease(id: string): void {
    if (!this.#leases.delete(id)) return;
    const doomed = [...this.entries.values()].filter(({ lease }) => lease === id);
    for (const { key } of doomed) this.entries.delete(key);
    if (doomed.length > 0) this.#commit(doomed.map(({ key }) => ({ kind: 'delete', key })));
  }

  transact({ conditions = [], operations }: Transaction): bigint | undefined {
    if (!conditions.every((condition) => this.#isTrue(condition))) return undefined;
    const revision = this.revision + 1n;
    const changes = operations.map((operation): Change => {
      const { key } = operation;
      if (operation.kind === 'delete') {
        this.entries.delete(key);
        return { kind: 'delete', key };
      }
      const lease = operation.lease?.id;
      if (lease !== undefined && !this.holds(lease)) throw new HeadgateError('HG4001', 'the lease has ended');
      const createRevision = this.entries.get(key)?.createRevision ?? revision;
      const entry = { key, value: operation.value, createRevision, modRevision: revision, lease };
      this.entries.set(key, entry);
      return { kind: 'put', entry };
    });
    if (changes.length > 0) this.#commit(changes);
    return this.revision;
  }

  watch(...read: Parameters<Journal['read']>): ReturnType<Journal['read']> {
    return this.#journal.read(...read);
  }

  #commit(changes: readonly Change[]): void {
    this.onCommit(changes);
    this.#journal.append(changes);
    this.#journal.wake();
  }

  #isTrue(condition: Condition): boolean {
    const entry = this.entries.get(condition.key);
    return 'createRevision' in condition
      ? condition.createRevision === (entry?.createRevision ?? 0n)
      : condition.modRevision === (entry?.modRevision ?? 0n);
  }
}

/**
 * One process on the model. While it is paused nothing of it goes on: what it had asked for is carried out or
 * answered when it wakes, and that its lease was lost it hears last of all.
 */
export class Replica {
  readonly store: Store;
  #awake = Promise.resolve();
  #wake: (() => void) | undefined;

  constructor(model: ModelStore) {
    const gate = async (): Promise<void> => {
      // Again after each wait: it may have been paused anew.
      while (this.paused) await this.#awake;
    };
    const gated = async <T>(run: () => T): Promise<T> => {
      await Promise.resolve();
      await gate();
      const result = run();
      await gate();
      return result;
    };
    this.store = {
      epoch: () => gated(() => ({ counter: 1n, id: 'model' })),
      renewEpoch: () => Promise.reject(new Error('the model has one epoch')),
      get: (key) => gated(() => model.entries.get(key)),
      range: (prefix) =>
        gated(() => ({
          entries: [...model.entries.values()].filter(({ key }) => key.startsWith(prefix)),
          revision: model.revision,
        })),
      transact: (transaction) =>
        gated(() => {
          const revision = model.transact(transaction);
          return revision === undefined ? { committed: false } : { committed: true, revision };
        }),
      watch: async function* (prefix, from, signal) {
        for await (const batch of model.watch(prefix, from, signal)) {
          await gate();
          yield batch;
        }
      },
      lease: (ttl) => gated(() => this.#lease(model, model.grant(ttl, this), gate)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  get paused(): boolean {
    return this.#wake !== undefined;
  }

  pause(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#awake = promise;
    this.#wake = resolve;
  }

  resume(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #lease(model: ModelStore, id: string, gate: () => Promise<void>): Lease {
    const lost = new AbortController();
    const look = async (): Promise<void> => {
      const stop = new AbortController();
      for await (const _ of model.watch('', model.revision, stop.signal)) {
        if (model.holds(id)) continue;
        await gate();
        // Some turns late: what was in its hands when it woke goes out before.
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
        break;
      }
      stop.abort();
      lost.abort();
    };
    void look();
    return {
      id,
      lost: lost.signal,
      [Symbol.asyncDispose]: async () => {
        await gate();
        model.endLease(id);
      },
    };
  }
}
