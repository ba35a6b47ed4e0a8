import type { FleetState } from './state.ts';

/** Every onStale.after that is in force, in milliseconds, at least 1. */
export function staleThresholds(state: Pick<FleetState, 'trafficPolicies' | 'clusters'>): ReadonlySet<number> {
  const thresholds = new Set<number>();
  const policies = [state.trafficPolicies, ...[...state.clusters.values()].map((cluster) => cluster.policies)];
  for (const { value } of policies.flatMap((map) => [...map.values()]))
    for (const fields of [value, value.defaults, value.overrides])
      if (fields?.onStale !== undefined) thresholds.add(Math.max(1, fields.onStale.after));
  return thresholds;
}

/**
 * Silence rounded down to the largest threshold, so that peers change only when one is crossed; below all of
 * them it is 0: fresh.
 */
export function roundStale(thresholds: ReadonlySet<number>, ms: number): number {
  let largest = 0;
  for (const threshold of thresholds) if (threshold <= ms) largest = Math.max(largest, threshold);
  return largest;
}
