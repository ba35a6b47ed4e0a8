import { compare } from '../../../lib/compare.ts';
import type { TrafficPolicy } from './attachment.ts';
import { agree, type Settled } from './settle.ts';

/** What becomes of one policy at one host. */
export interface Reach {
  readonly policy: TrafficPolicy;
  /** Routes of which it decides a field at some entry. */
  readonly routes: number;
  /** Entries at which it says something of a route, ascending. */
  readonly attached: readonly string[];
  /** Those at which a field is as it says, ascending. */
  readonly inForce: readonly string[];
}

/** A host's routes, in one order for all entries; undefined for one that is not served. */
export type SettledRoutes = readonly (Settled | undefined)[];

const nothing: ReadonlyMap<TrafficPolicy, Reach> = new Map();

/**
 * @param settled with the entries that share it.
 * @returns by policy; empty where nothing governs the host.
 */
export function reachOf(settled: ReadonlyMap<SettledRoutes, readonly string[]>): ReadonlyMap<TrafficPolicy, Reach> {
  const found = new Map<TrafficPolicy, { routes: Set<number>; attached: string[]; inForce: string[] }>();
  for (const [routes, entries] of settled) {
    for (const [policy, decided] of decidedBy(routes)) {
      const one = found.get(policy) ?? { routes: new Set(), attached: [], inForce: [] };
      found.set(policy, one);
      one.attached.push(...entries);
      if (decided.size > 0) one.inForce.push(...entries);
      for (const route of decided) one.routes.add(route);
    }
  }
  if (found.size === 0) return nothing;
  return new Map(
    [...found].map(([policy, { routes, attached, inForce }]) => [
      policy,
      { policy, routes: routes.size, attached: attached.sort(compare), inForce: inForce.sort(compare) },
    ]),
  );
}

/** Per policy that says something of a route: the routes where a field is as it says. */
function decidedBy(routes: SettledRoutes): ReadonlyMap<TrafficPolicy, ReadonlySet<number>> {
  const decided = new Map<TrafficPolicy, Set<number>>();
  for (const [at, route] of routes.entries()) {
    for (const [winner, ...losers] of route?.bids.values() ?? []) {
      if (winner === undefined) continue;
      for (const bid of [winner, ...losers]) {
        const ofPolicy = decided.get(bid.policy) ?? new Set();
        decided.set(bid.policy, ofPolicy);
        if (bid === winner || agree(winner, bid)) ofPolicy.add(at);
      }
    }
  }
  return decided;
}
