import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { FleetState, OwnershipRecord } from '../fleet/state.ts';
import { decodeOwnership } from '../fleet/stored-values.ts';
import { keys } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import { encodeOwnership } from './ownership-record.ts';
import { hostOfClaim } from './stored-report.ts';

/** Milliseconds that ownership outlives its last contribution. */
export const DEFAULT_GRACE_MS = 600_000;

/** Milliseconds between two looks at the fleet. */
const EVERY_MS = 2_000;

export interface OwnershipDecision {
  readonly host: string;
  /** The record that the decision rests on; undefined where there is none. */
  readonly from: OwnershipRecord | undefined;
  /** What it becomes; undefined: deleted. */
  readonly to: OwnershipRecord | undefined;
}

/**
 * Which records of host ownership must change. A record whose namespace has no claim left is released, and
 * keeps the host for the grace time: a claim of its namespace revives it; when the time is over the claim that
 * was committed first takes the host, or nobody has it. Held claims stand.
 *
 * @param now Unix milliseconds, by the hub's clock.
 */
export function decideOwnership(
  state: Pick<FleetState, 'owners' | 'clusters'>,
  now: number,
  graceMs: number,
): OwnershipDecision[] {
  const claims = firstClaims(state.clusters);
  const decisions: OwnershipDecision[] = [];
  for (const [host, record] of state.owners) {
    const { namespace, releasedAt } = record;
    const claimed = claims.get(host);
    const stands = claimed?.has(namespace) === true;
    if (stands) {
      if (releasedAt !== undefined) decisions.push({ host, from: record, to: { host, namespace } });
    } else if (releasedAt === undefined) {
      decisions.push({ host, from: record, to: { host, namespace, releasedAt: now } });
    } else if (now - releasedAt >= graceMs) {
      decisions.push({ host, from: record, to: successor(host, claimed) });
    }
  }
  // Every claim comes with a record; this mends what a restored or hand-made store lacks.
  for (const [host, claimed] of claims)
    if (!state.owners.has(host)) decisions.push({ host, from: undefined, to: successor(host, claimed) });
  return decisions;
}

interface Claim {
  readonly at: bigint;
  readonly namespace: string;
  readonly name: string;
  readonly cluster: string;
}

/** Host → namespace → the claim of that namespace which was committed first. */
function firstClaims(clusters: FleetState['clusters']): Map<string, Map<string, Claim>> {
  const hosts = new Map<string, Map<string, Claim>>();
  for (const { name: cluster, ingresses } of clusters.values()) {
    for (const { value, claimedAt } of ingresses.values()) {
      for (const [key, at] of claimedAt) {
        const host = hostOfClaim(key);
        if (host === '') continue;
        let namespaces = hosts.get(host);
        if (namespaces === undefined) hosts.set(host, (namespaces = new Map()));
        const claim = { at, namespace: value.namespace, name: value.name, cluster };
        const first = namespaces.get(value.namespace);
        if (first === undefined || isBefore(claim, first)) namespaces.set(value.namespace, claim);
      }
    }
  }
  return hosts;
}

function isBefore(a: Claim, b: Claim): boolean {
  if (a.at !== b.at) return a.at < b.at;
  if (a.namespace !== b.namespace) return a.namespace < b.namespace;
  return a.name === b.name ? a.cluster < b.cluster : a.name < b.name;
}

function successor(host: string, claimed: ReadonlyMap<string, Claim> | undefined): OwnershipRecord | undefined {
  let first: Claim | undefined;
  for (const claim of claimed?.values() ?? []) if (first === undefined || isBefore(claim, first)) first = claim;
  return first === undefined ? undefined : { host, namespace: first.namespace };
}

export interface OwnershipOptions {
  readonly store: Store;
  /** The fleet as this hub last saw it; undefined before it is loaded. */
  readonly state: () => FleetState | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Milliseconds; default 10 minutes. */
  readonly graceMs?: number;
}

/** Carries out `decideOwnership` until the signal is aborted. */
export async function runOwnership(options: OwnershipOptions, signal: AbortSignal): Promise<void> {
  const { state, clock, log, graceMs = DEFAULT_GRACE_MS } = options;
  let seen: FleetState | undefined;
  let pending = true;
  while (!signal.aborted) {
    try {
      const now = state();
      // Without a change only the passing of a grace time can call for one.
      if (now !== undefined && (now !== seen || pending)) {
        const decisions = decideOwnership(now, clock.wall(), graceMs);
        for (const decision of decisions) await carryOut(options, decision);
        pending = [...now.owners.values()].some(({ releasedAt }) => releasedAt !== undefined);
        seen = now;
      }
    } catch (thrown) {
      seen = undefined;
      log.error('host ownership could not be brought up to date', { error: HeadgateError.from(thrown) });
    }
    try {
      await clock.sleep(Math.min(EVERY_MS, graceMs), signal);
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }
}

/** By compare-and-set: a record that is no longer what the decision rests on is left to the next look. */
async function carryOut({ store, log }: OwnershipOptions, { host, from, to }: OwnershipDecision): Promise<void> {
  const key = keys.owner(host);
  const entry = await store.get(key);
  const record = entry === undefined ? undefined : decodeOwnership(entry);
  if (record?.namespace !== from?.namespace || record?.releasedAt !== from?.releasedAt) return;
  const { committed } = await store.transact({
    conditions: [{ key, modRevision: entry?.modRevision ?? 0n }],
    operations: [to === undefined ? { kind: 'delete', key } : { kind: 'put', key, value: encodeOwnership(to) }],
  });
  if (committed && to?.namespace !== from?.namespace)
    log.info('host ownership changed', { host, from: from?.namespace, to: to?.namespace });
}
