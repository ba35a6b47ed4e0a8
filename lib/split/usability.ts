import { StaleAction } from '../../proto/gen/headgate/v1/configured.ts';
import type { SplitInput } from './types.ts';

/**
 * How good a cluster is for a route. `fresh` is used; `stale` (deweighted) only when nothing fresh is;
 * `cordoned` only when nothing else is; `no` never.
 */
export type Usability =
  | { readonly grade: 'fresh' }
  | { readonly grade: 'stale' | 'cordoned' | 'no'; readonly why: string };

export const grades = ['fresh', 'stale', 'cordoned'] as const;
export type Grade = (typeof grades)[number];

export function usability(input: SplitInput, cluster: string): Usability {
  const own = cluster === input.self;
  const ready = input.ready.get(cluster);
  if (ready === undefined) return { grade: 'no', why: 'does not offer the route' };
  if (ready === 0) return { grade: 'no', why: 'no ready endpoint' };
  const condition = input.clusters.get(cluster);
  if (condition === undefined && !own) return { grade: 'no', why: 'not known here' };
  if (condition !== undefined && !own && !condition.reachable) return { grade: 'no', why: 'gateway not reachable' };
  // Own counts are live, so the entry is never stale to itself.
  const onStale = input.traffic?.onStale;
  const staleMs = own ? 0 : (condition?.staleMs ?? 0);
  const stale = onStale !== undefined && staleMs > 0 && staleMs >= Number(onStale.afterMs);
  if (stale && onStale?.action === StaleAction.DROP) return { grade: 'no', why: 'stale, dropped by policy' };
  if (condition?.cordoned === true) return { grade: 'cordoned', why: 'cordoned' };
  if (stale && onStale?.action === StaleAction.DEWEIGHT)
    return { grade: 'stale', why: 'stale, used only when nothing fresh is' };
  return { grade: 'fresh' };
}
