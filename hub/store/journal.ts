import { HeadgateError } from '../../lib/errors.ts';
import type { Change, WatchBatch } from './store.ts';

export interface JournalLimits {
  readonly revisions: number;
  /** Of values held. */
  readonly bytes: number;
}

/**
 * The last transactions, in memory: what watchers read, each at its own pace by a cursor, so a slow one costs
 * nothing but the chance of having to list again. No watcher outlives the process that holds the embedded
 * store, so the history need not either.
 */
export class Journal {
  readonly #limits: JournalLimits;
  /** By revision, without gaps up to the last. */
  readonly #batches = new Map<bigint, WatchBatch>();
  readonly #waiting = new Set<() => void>();
  #bytes = 0;
  #revision: bigint;
  #closed = false;

  constructor(revision: bigint, limits: JournalLimits) {
    this.#revision = revision;
    this.#limits = limits;
  }

  /** The last committed revision. */
  get revision(): bigint {
    return this.#revision;
  }

  /** Appends the changes of the next revision; readers see them once `wake` is called. */
  append(changes: readonly Change[]): void {
    this.#revision += 1n;
    this.#batches.set(this.#revision, { revision: this.#revision, changes });
    this.#bytes += weight(changes);
    while (
      this.#batches.size > 1 &&
      (this.#batches.size > this.#limits.revisions || this.#bytes > this.#limits.bytes)
    ) {
      const oldest = this.#revision - BigInt(this.#batches.size) + 1n;
      this.#bytes -= weight(this.#batches.get(oldest)?.changes ?? []);
      this.#batches.delete(oldest);
    }
  }

  wake(): void {
    for (const resume of this.#waiting) resume();
    this.#waiting.clear();
  }

  /** Every reader ends with HG4002. */
  close(): void {
    this.#closed = true;
    this.wake();
  }

  async *read(prefix: string, fromRevision: bigint, signal: AbortSignal): AsyncGenerator<WatchBatch> {
    let resume: (() => void) | undefined;
    const abort = (): void => resume?.();
    signal.addEventListener('abort', abort);
    try {
      let cursor = fromRevision;
      while (!signal.aborted) {
        if (this.#closed) throw new HeadgateError('HG4002', 'the store was closed');
        if (cursor === this.#revision) {
          const advanced = Promise.withResolvers<void>();
          resume = advanced.resolve;
          this.#waiting.add(resume);
          await advanced.promise;
          this.#waiting.delete(resume);
          continue;
        }
        const batch = this.#batches.get(cursor + 1n);
        if (batch === undefined)
          throw new HeadgateError('HG4002', `the changes after revision ${cursor} are not kept; list again`);
        cursor = batch.revision;
        const changes = batch.changes.filter((change) => keyOf(change).startsWith(prefix));
        if (changes.length > 0) yield changes.length === batch.changes.length ? batch : { ...batch, changes };
      }
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}

function keyOf(change: Change): string {
  return change.kind === 'put' ? change.entry.key : change.key;
}

function weight(changes: readonly Change[]): number {
  let bytes = 0;
  for (const change of changes) if (change.kind === 'put') bytes += change.entry.value.length;
  return bytes;
}
