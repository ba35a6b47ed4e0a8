import type { AcceptedDelta, Epoch, Inventory, Resource, ResourceDelta } from '../../lib/sync/index.ts';

/**
 * The last good resources on disk, in two generations that share no file: DIR/current and DIR/previous.
 * Checksummed; bodies of secret types sealed with the key file's key. Damage in `current` falls back to
 * `previous`; damage in both gives an empty ledger and says so.
 */
export interface Ledger extends AsyncDisposable {
  /** Everything held, node-local types included. Do not change it; commit. */
  readonly inventory: Inventory;
  held(): { readonly epoch: Epoch; readonly revision: bigint } | undefined;
  /** Durable when it resolves (fsync). On a full or read-only disk it rejects with HG2003 and keeps the old. */
  commit(delta: AcceptedDelta): Promise<void>;
  /** The same for what never travels: types that start with "local-", for example spare assignments. */
  commitLocal(delta: ResourceDelta): Promise<void>;
  /** Looks whether the disk is there and takes writes; `trouble` then says so. */
  check(): Promise<void>;
  /** Which generation was loaded, and what was wrong with the other. */
  readonly loaded: { readonly from: 'current' | 'previous' | 'empty'; readonly problem: string | undefined };
  /** Why the last write failed, in words; undefined since one succeeded or `check` found nothing. */
  readonly trouble: string | undefined;
}

/** A resource type that stays on this node. */
export function isLocal({ type }: Pick<Resource, 'type'>): boolean {
  return type.startsWith('local-');
}
