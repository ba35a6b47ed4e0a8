import type { Clock } from '../../../lib/clock.ts';
import { ANY_HOST } from '../../../lib/domain/host-name.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import type { Log } from '../../../lib/log.ts';
import type { FleetState, OwnershipRecord } from '../../fleet/state.ts';
import type { HostUse } from '../../fleet/fleet-index.ts';
import type { Fleet } from '../../fleet/fleet.ts';
import { decodeOwnership } from '../../fleet/stored-values.ts';
import { keys } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import { encodeOwnership } from './ownership-record.ts';
import { hostOfClaim } from '../stored-report.ts';

/** Milliseconds that ownership outlives its last contribution. */
const DEFAULT_GRACE_MS = 600_000;

/** Milliseconds between two looks at the fleet. */
const EVERY_MS = 2_000;

export interface OwnershipDecision {
  readonly host: string;
  /** The record that the decision rests on; undefined where there is none. */
  readonly from: OwnershipRecord | undefined;
  /** What it becomes; undefined: deleted. */
  readonly to: OwnershipRecord | undefined;
}

export interface OwnershipView {
  readonly state: Pick<FleetState, 'owners' | 'clusters'>;
  /** Host → the Ingresses that name it. */
  readonly uses: ReadonlyMap<string, ReadonlyMap<string, HostUse>>;
}

/**
 * Which of these hosts' ownership records must change. A record whose namespace has no claim left is released,
 * and keeps the host for the grace time: a claim of its namespace revives it; when the time is over the claim
 * that was committed first takes the host, or nobody has it. Held claims stand.
 *
 * @param now Unix milliseconds, by the hub's clock.
 */
export function decideOwnership(
  view: OwnershipView,
  hosts: Iterable<string>,
  now: number,
  graceMs: number,
): OwnershipDecision[] {
  const decisions: OwnershipDecision[] = [];
  for (const host of hosts) {
    if (host === ANY_HOST) continue;
    const from = view.state.owners.get(host);
    const claims = claimsOn(view, host);
    if (from === undefined) {
      // Every claim comes with a record; this mends what a restored or hand-made store lacks.
      const to = successor(host, claims);
      if (to !== undefined) decisions.push({ host, from, to });
      continue;
    }
    const { namespace, releasedAt } = from;
    if (claims.some((claim) => claim.namespace === namespace)) {
      if (releasedAt !== undefined) decisions.push({ host, from, to: { host, namespace } });
    } else if (releasedAt === undefined) {
      decisions.push({ host, from, to: { host, namespace, releasedAt: now } });
    } else if (now - releasedAt >= graceMs) {
      decisions.push({ host, from, to: successor(host, claims) });
    }
  }
  return decisions;
}

interface Claim {
  readonly at: bigint;
  readonly namespace: string;
  readonly name: string;
  readonly cluster: string;
}

/** The first claim on the host of every Ingress that names it. */
function claimsOn({ state, uses }: OwnershipView, host: string): Claim[] {
  const claims: Claim[] = [];
  for (const { cluster, ingress } of uses.get(host)?.values() ?? []) {
    const committed = state.clusters.get(cluster)?.ingresses.get(ingress);
    if (committed === undefined) continue;
    let at: bigint | undefined;
    for (const [key, revision] of committed.claimedAt)
      if (hostOfClaim(key) === host && (at === undefined || revision < at)) at = revision;
    const { namespace, name } = committed.value;
    if (at !== undefined) claims.push({ at, namespace, name, cluster });
  }
  return claims;
}

function isBefore(a: Claim, b: Claim): boolean {
  if (a.at !== b.at) return a.at < b.at;
  if (a.namespace !== b.namespace) return a.namespace < b.namespace;
  return a.name === b.name ? a.cluster < b.cluster : a.name < b.name;
}

function successor(host: string, claims: readonly Claim[]): OwnershipRecord | undefined {
  let first: Claim | undefined;
  for (const claim of claims) if (first === undefined || isBefore(claim, first)) first = claim;
  return first === undefined ? undefined : { host, namespace: first.namespace };
}

export interface OwnershipOptions {
  readonly store: Store;
  readonly fleet: Pick<Fleet, 'subscribe'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Milliseconds; default 10 minutes. */
  readonly graceMs?: number;
}

/** Carries out `decideOwnership` until the signal is aborted. Costs what changed and what is released. */
export async function runOwnership(options: OwnershipOptions, signal: AbortSignal): Promise<void> {
  const { fleet, clock, log, graceMs = DEFAULT_GRACE_MS } = options;
  let view: OwnershipView = { state: { owners: new Map(), clusters: new Map() }, uses: new Map() };
  const touched = new Set<string>();
  const released = new Set<string>();
  const unsubscribe = fleet.subscribe(({ state, index, previous, touchedHosts }) => {
    view = { state, uses: index.hosts };
    for (const host of touchedHosts) touched.add(host);
    // The first state touches what is claimed; a record may stand without a claim.
    if (previous === undefined) for (const host of state.owners.keys()) touched.add(host);
  });
  try {
    while (!signal.aborted) {
      const hosts = new Set([...touched, ...released]);
      touched.clear();
      released.clear();
      try {
        for (const decision of decideOwnership(view, hosts, clock.wall(), graceMs)) await carryOut(options, decision);
      } catch (thrown) {
        for (const host of hosts) touched.add(host);
        log.error('host ownership could not be brought up to date', { error: HeadgateError.from(thrown) });
      }
      // Of these only the passing of the grace time may be news.
      for (const host of hosts) if (view.state.owners.get(host)?.releasedAt !== undefined) released.add(host);
      await clock.sleep(Math.min(EVERY_MS, graceMs), signal).catch((thrown: unknown) => {
        if (!signal.aborted) throw thrown;
      });
    }
  } finally {
    unsubscribe();
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
