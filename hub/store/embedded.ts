import { randomUUID } from 'node:crypto';
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import type { Clock } from '../../lib/clock.ts';
import { HeadgateError, unreachable } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Epoch } from '../../lib/sync/index.ts';
import { checkTransaction } from './check.ts';
import { Journal, type JournalLimits } from './journal.ts';
import { openDatabase, statementError } from './sqlite.ts';
import type {
  Change,
  Commit,
  Condition,
  Entry,
  Lease,
  Operation,
  Page,
  Store,
  Transaction,
  WatchBatch,
} from './store.ts';

export interface EmbeddedStoreOptions {
  /** Where `store.db` is; made where it is missing. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
  /** How far back a watch can start. */
  readonly history?: JournalLimits;
}

/** At 325 changes a second some minutes; a watcher that is further behind lists again. */
const HISTORY: JournalLimits = { revisions: 100_000, bytes: 32 << 20 };

/** Transactions in one SQLite transaction; the event loop gets a turn between. */
const MAX_GROUP = 1_000;

/** Milliseconds for one fsync and what goes with it. */
const SLOW_MS = 1_000;

/**
 * Opens the store of a single hub: one SQLite file, held by this process alone. Throws HG2003 when the folder
 * cannot be used or another hub has it, HG4003 when the file is damaged.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<Store> {
  const database = openDatabase(options.folder);
  try {
    return new EmbeddedStore(database, options);
  } catch (thrown) {
    database.close();
    throw statementError(thrown, 'open the store');
  }
}

interface Work {
  /**
   * Runs inside the shared SQLite transaction and returns the changes made. What it returns instead of changes
   * concerns this work alone; what it throws undoes the whole group.
   */
  readonly run: (revision: bigint) => readonly Change[] | 'condition failed' | HeadgateError;
  readonly done: (commit: Commit) => void;
  readonly failed: (error: HeadgateError) => void;
}

class EmbeddedStore implements Store {
  readonly #database: DatabaseSync;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #journal: Journal;
  readonly #leases = new Map<string, AbortController>();
  #queue: Work[] = [];
  #closed = false;
  #epoch: Epoch;

  readonly #one: StatementSync;
  readonly #between: StatementSync;
  readonly #from: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #leased: StatementSync;
  readonly #setMeta: StatementSync;

  constructor(database: DatabaseSync, options: EmbeddedStoreOptions) {
    this.#database = database;
    this.#clock = options.clock;
    this.#log = options.log;
    const prepare = (sql: string): StatementSync => {
      const statement = database.prepare(sql);
      statement.setReadBigInts(true);
      return statement;
    };
    this.#one = prepare('SELECT key, value, created, modified FROM entries WHERE key = ?');
    this.#between = prepare(
      'SELECT key, value, created, modified FROM entries WHERE key >= ? AND key < ? ORDER BY key',
    );
    this.#from = prepare('SELECT key, value, created, modified FROM entries WHERE key >= ? ORDER BY key');
    this.#put = prepare(
      `INSERT INTO entries (key, value, created, modified, lease) VALUES (?1, ?2, ?3, ?3, ?4)
       ON CONFLICT (key) DO UPDATE SET value = ?2, modified = ?3, lease = ?4 RETURNING created`,
    );
    this.#delete = prepare('DELETE FROM entries WHERE key = ?');
    this.#leased = prepare(
      'SELECT key FROM entries WHERE lease = ?1 OR (?1 IS NULL AND lease IS NOT NULL) ORDER BY key',
    );
    this.#setMeta = prepare(
      'INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2',
    );

    const meta = new Map<string, SQLOutputValue | undefined>();
    for (const row of prepare('SELECT name, value FROM meta').all()) meta.set(String(row['name']), row['value']);
    const counter = meta.get('epoch-counter');
    const id = meta.get('epoch-id');
    this.#epoch = typeof counter === 'bigint' && typeof id === 'string' ? { counter, id } : this.#writeEpoch(1n);
    const revision = meta.get('revision');
    this.#journal = new Journal(typeof revision === 'bigint' ? revision : 0n, options.history ?? HISTORY);
    // The process that kept the leases alive is gone.
    this.#commitTogether([{ run: () => this.#endLeased(null), done: () => undefined, failed: raise }]);
  }

  epoch(): Promise<Epoch> {
    return Promise.resolve(this.#epoch);
  }

  async renewEpoch(): Promise<Epoch> {
    this.#assertOpen();
    this.#epoch = this.#writeEpoch(this.#epoch.counter + 1n);
    this.#log.warn('store epoch renewed', { epoch: this.#epoch.counter });
    return this.#epoch;
  }

  get(key: string): Promise<Entry | undefined> {
    return this.#reading(() => {
      const row = this.#one.get(Buffer.from(key));
      return row === undefined ? undefined : entryOf(row);
    });
  }

  range(prefix: string): Promise<Page> {
    return this.#reading(() => {
      const start = Buffer.from(prefix);
      const rows = start.length === 0 ? this.#from.all(start) : this.#between.all(start, after(start));
      return { entries: rows.map(entryOf), revision: this.#journal.revision };
    });
  }

  async transact(transaction: Transaction): Promise<Commit> {
    checkTransaction(transaction);
    return this.#enqueue((revision) => {
      const { conditions = [], operations } = transaction;
      const ended = operations.find((o) => o.kind === 'put' && o.lease !== undefined && !this.#leases.has(o.lease.id));
      if (ended !== undefined) return new HeadgateError('HG4001', `cannot write '${ended.key}': its lease has ended`);
      if (!conditions.every((condition) => this.#holds(condition))) return 'condition failed';
      return operations.flatMap((operation) => this.#apply(operation, revision));
    });
  }

  watch(prefix: string, fromRevision: bigint, signal: AbortSignal): AsyncIterable<WatchBatch> {
    return this.#journal.read(prefix, fromRevision, signal);
  }

  async lease(ttl: number): Promise<Lease> {
    this.#assertOpen();
    if (!(ttl > 0)) throw new HeadgateError('HG9001', `a lease's time to live is ${ttl} ms`);
    const id = randomUUID();
    // The keeper lives and dies with the store's only process, so there is nothing that a timer could find.
    const lost = new AbortController();
    this.#leases.set(id, lost);
    return {
      id,
      lost: lost.signal,
      [Symbol.asyncDispose]: async () => {
        if (!this.#leases.delete(id)) return;
        lost.abort(new HeadgateError('HG4001', 'the lease has ended'));
        await this.#enqueue(() => this.#endLeased(id));
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#flush(Number.POSITIVE_INFINITY);
    this.#closed = true;
    for (const lost of this.#leases.values()) lost.abort(new HeadgateError('HG4001', 'the store was closed'));
    this.#leases.clear();
    this.#journal.close();
    this.#database.close();
    await Promise.resolve();
  }

  async #reading<T>(read: () => T): Promise<T> {
    this.#assertOpen();
    try {
      return read();
    } catch (thrown) {
      throw statementError(thrown, 'read the store');
    }
  }

  #enqueue(run: Work['run']): Promise<Commit> {
    this.#assertOpen();
    return new Promise((done, failed) => {
      this.#queue.push({ run, done, failed });
      // Whatever else this turn of the event loop wants to write shares the fsync.
      if (this.#queue.length === 1) setImmediate(() => this.#flush(MAX_GROUP));
    });
  }

  #flush(most: number): void {
    if (this.#closed || this.#queue.length === 0) return;
    const works = this.#queue.slice(0, most);
    this.#queue = this.#queue.slice(most);
    if (this.#queue.length > 0) setImmediate(() => this.#flush(MAX_GROUP));
    const start = this.#clock.now();
    this.#commitTogether(works);
    const took = this.#clock.now() - start;
    if (took > SLOW_MS) this.#log.warn('slow store commit', { ms: Math.round(took), transactions: works.length });
  }

  /** One SQLite transaction, one fsync; each work keeps its own revision and succeeds or not by itself. */
  #commitTogether(works: readonly Work[]): void {
    let revision = this.#journal.revision;
    const batches: (readonly Change[])[] = [];
    const settle: (() => void)[] = [];
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      for (const { run, done, failed } of works) {
        const result = run(revision + 1n);
        if (result instanceof HeadgateError) settle.push(() => failed(result));
        else if (result === 'condition failed') settle.push(() => done({ committed: false }));
        else {
          if (result.length > 0) {
            batches.push(result);
            revision += 1n;
          }
          const commit = { committed: true, revision } as const;
          settle.push(() => done(commit));
        }
      }
      if (batches.length > 0) this.#setMeta.run('revision', revision);
      this.#database.exec('COMMIT');
    } catch (thrown) {
      this.#rollback();
      const error = statementError(thrown, 'write the store');
      for (const { failed } of works) failed(error);
      return;
    }
    for (const changes of batches) this.#journal.append(changes);
    this.#journal.wake();
    for (const tell of settle) tell();
  }

  #rollback(): void {
    // SQLite has already rolled back by itself after a full disk or an I/O error.
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
  }

  #holds(condition: Condition): boolean {
    const row = this.#one.get(Buffer.from(condition.key));
    return 'createRevision' in condition
      ? condition.createRevision === (row === undefined ? 0n : row['created'])
      : condition.modRevision === (row === undefined ? 0n : row['modified']);
  }

  #apply(operation: Operation, revision: bigint): readonly Change[] {
    const { key } = operation;
    switch (operation.kind) {
      case 'put': {
        // Our own copy: the caller's may be a window on a large network buffer.
        const value = Uint8Array.from(operation.value);
        const row = this.#put.get(Buffer.from(key), value, revision, operation.lease?.id ?? null);
        return [
          { kind: 'put', entry: { key, value, createRevision: row?.['created'] as bigint, modRevision: revision } },
        ];
      }
      case 'delete':
        return this.#delete.run(Buffer.from(key)).changes > 0 ? [{ kind: 'delete', key }] : [];
      default:
        return unreachable(operation);
    }
  }

  /** @param lease null for every lease. */
  #endLeased(lease: string | null): readonly Change[] {
    return this.#leased.all(lease).map((row) => {
      const key = row['key'] as Uint8Array;
      this.#delete.run(key);
      return { kind: 'delete', key: Buffer.from(key).toString() } as const;
    });
  }

  #writeEpoch(counter: bigint): Epoch {
    const epoch = { counter, id: randomUUID() };
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      this.#setMeta.run('epoch-counter', epoch.counter);
      this.#setMeta.run('epoch-id', epoch.id);
      this.#database.exec('COMMIT');
    } catch (thrown) {
      this.#rollback();
      throw statementError(thrown, 'write the epoch');
    }
    return epoch;
  }

  #assertOpen(): void {
    if (this.#closed) throw new HeadgateError('HG4001', 'the store is closed');
  }
}

function entryOf(row: Record<string, SQLOutputValue>): Entry {
  return {
    key: Buffer.from(row['key'] as Uint8Array).toString(),
    value: row['value'] as Uint8Array,
    createRevision: row['created'] as bigint,
    modRevision: row['modified'] as bigint,
  };
}

/** The smallest key after all that start with `prefix`. UTF-8 holds no byte 0xff, so the last one can rise. */
function after(prefix: Uint8Array): Uint8Array {
  const end = Uint8Array.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return end;
}

function raise(error: HeadgateError): never {
  throw error;
}
