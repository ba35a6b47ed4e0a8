import type { Epoch } from '../../lib/sync/index.ts';

/** A stored value. Revisions rise by one per committed transaction that changes something, over the whole store. */
export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision of the transaction that created the key; an edit keeps it. */
  readonly createRevision: bigint;
  /** Revision of the last write. */
  readonly modRevision: bigint;
}

export interface Page {
  /** Ascending by key, in the order of its UTF-8 bytes. */
  readonly entries: readonly Entry[];
  /** The store's revision that the page shows. */
  readonly revision: bigint;
}

export type Condition =
  /** `revision` 0n: the key does not exist. */
  { readonly key: string; readonly createRevision: bigint } | { readonly key: string; readonly modRevision: bigint };

export type Operation =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array; readonly lease?: Lease }
  | { readonly kind: 'delete'; readonly key: string };

export interface Transaction {
  /** All must hold, or nothing is written. */
  readonly conditions?: readonly Condition[];
  /** A key at most once. */
  readonly operations: readonly Operation[];
}

/** What one transaction may hold in every implementation: etcd's default for --max-txn-ops, and its 1.5 MiB request. */
export const transactionLimits = { operations: 128, bytes: 1 << 20 } as const;

/** A transaction that changes nothing commits at the present revision. */
export type Commit = { readonly committed: true; readonly revision: bigint } | { readonly committed: false };

export type Change =
  | { readonly kind: 'put'; readonly entry: Entry }
  | { readonly kind: 'delete'; readonly key: string };

/** The changes of one transaction under the watched prefix. */
export interface WatchBatch {
  readonly revision: bigint;
  readonly changes: readonly Change[];
}

/** Keys put with a lease vanish when it is not kept alive for its time to live. */
export interface Lease extends AsyncDisposable {
  readonly id: string;
  /** Aborted when the lease may have been lost. */
  readonly lost: AbortSignal;
}

/**
 * What the hub keeps. Values stay below 1 MiB. A resolved write is committed: it survives kill -9.
 * Errors are HeadgateError HG4001 (write or read failed), HG4002 (watch lost: list again), HG4003 (corrupt).
 */
export interface Store extends AsyncDisposable {
  /** The store's history. */
  epoch(): Promise<Epoch>;
  /** Raises the counter and draws a new id; for a restored backup. */
  renewEpoch(): Promise<Epoch>;
  get(key: string): Promise<Entry | undefined>;
  /** All keys that start with `prefix`, at one revision. */
  range(prefix: string): Promise<Page>;
  /** Writes all or nothing. Empty conditions always commit. */
  transact(transaction: Transaction): Promise<Commit>;
  /**
   * Every change after `fromRevision` under `prefix`, in order, each once. Throws HG4002 when it cannot
   * promise that (compaction, gap, watcher error): range again and watch from the page's revision. Ends when
   * the signal is aborted.
   */
  watch(prefix: string, fromRevision: bigint, signal: AbortSignal): AsyncIterable<WatchBatch>;
  /** @param ttl milliseconds. Kept alive by the store until disposed. */
  lease(ttl: number): Promise<Lease>;
}
