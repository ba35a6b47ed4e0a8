import { randomBytes } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { keys } from '../store/keys.ts';
import { pack } from '../store/transactions.ts';
import type { Operation, Store } from '../store/store.ts';
import type { Caller } from './caller.ts';

/** Who did what. The revision is that of the transaction which holds the record. */
export interface AuditRecord {
  /** RFC 3339, by the hub's clock. */
  readonly at: string;
  readonly who: string;
  readonly role: string;
  readonly what: string;
}

/** The newest records that are kept. */
const KEPT = 10_000;
/** Writes between two looks for records that are too many. */
const PRUNED_EVERY = 1_000;

/** The operation that records a write of the caller. */
export function auditRecord(clock: Clock, caller: Caller, what: string): Operation {
  const at = new Date(clock.wall()).toISOString();
  const record: AuditRecord = { at, who: caller.name, role: caller.role, what };
  // Rises with time as far as the clock does; order is by the entry's revision.
  const id = `${at}-${randomBytes(4).toString('hex')}`;
  return { kind: 'put', key: keys.audit(id), value: Buffer.from(JSON.stringify(record)) };
}

export class Audit {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Log;
  #written = 0;

  constructor(store: Store, clock: Clock, log: Log) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
  }

  /** The operation that records a write; belongs into the write's own transaction. */
  record(caller: Caller, what: string): Operation {
    return auditRecord(this.#clock, caller, what);
  }

  /** Tells the log of a write that is committed. */
  committed(caller: Caller, what: string, revision: bigint): void {
    this.#written += 1;
    if (this.#written % PRUNED_EVERY === 0) {
      this.prune().catch((error: unknown) => this.#log.warn('cannot drop old audit records', { error }));
    }
    this.#log.info('audit', { who: caller.name, role: caller.role, what, revision });
  }

  /** Drops the oldest records beyond those kept. */
  async prune(): Promise<void> {
    const { entries } = await this.#store.range(keys.audit(''));
    const byAge = [...entries].sort((a, b) => Number(a.modRevision - b.modRevision));
    const old = byAge.slice(0, Math.max(0, byAge.length - KEPT));
    const units = old.map(({ key }) => ({ operations: [{ kind: 'delete', key } as const] }));
    for (const transaction of pack(units)) await this.#store.transact(transaction);
  }
}
