import type { Traffic } from '../../proto/gen/headgate/v1/configured.ts';

/** Shares are in units of 1/100,000. */
export const SHARE_UNITS = 100_000;

/** Clusters that one split may name with a share: each is a rule that every request at HAProxy meets. */
export const MAX_SHARES = 8;

/** What is known of one cluster, for every route alike. */
export interface ClusterCondition {
  readonly cordoned: boolean;
  /** Milliseconds without a fresh report; 0 when fresh. */
  readonly staleMs: number;
  /** Its gateway answers this entry's probes. The entry itself is always reachable. */
  readonly reachable: boolean;
}

/** One route as one entry sees it. */
export interface SplitInput {
  /** The entry cluster. */
  readonly self: string;
  /** Ready endpoints per contributing cluster; own counts are live, others are the hub's. */
  readonly ready: ReadonlyMap<string, number>;
  readonly traffic: Traffic | undefined;
  /** Clusters absent here are unknown: never used, but for `self`. */
  readonly clusters: ReadonlyMap<string, ClusterCondition>;
  /** Milliseconds on the caller's monotonic clock. */
  readonly now: number;
  /** What the last call returned for this route; `undefined` at first. */
  readonly memory: SplitMemory | undefined;
}

/** State that time-dependent rules (holdFor, drain) need; opaque to callers. */
export interface SplitMemory {
  /** Per tier: since when it has been well after having been left; 0 when it was never left. */
  readonly wellSince: readonly (number | undefined)[];
  /** Per tier: what it last kept of all that reached it, in SHARE_UNITS. */
  readonly keeps: readonly number[];
  /** Clusters that were in the split and when they left it. */
  readonly leftAt: ReadonlyMap<string, number>;
  readonly lastShares: ReadonlyMap<string, number>;
}

export interface SplitResult {
  /** Sum to SHARE_UNITS; empty when nothing is usable. Descending by share, then by name. */
  readonly shares: readonly { readonly cluster: string; readonly share: number }[];
  /**
   * Every cluster that may still serve, best first, for request time: the reader skips the one that failed.
   * A cluster that has the whole split is not named again.
   */
  readonly fallbacks: readonly string[];
  /** Where a returning client may still go: the split's clusters and those draining. Ascending; empty without affinity. */
  readonly sticky: readonly string[];
  /** First tier in use. */
  readonly tier: number;
  readonly reasons: readonly string[];
  readonly memory: SplitMemory;
  /** When time alone changes the result, the moment (caller's clock); `undefined` when it does not. */
  readonly recheckAt: number | undefined;
}
