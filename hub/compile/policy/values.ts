import type { TierSpec, TrafficPolicySpec } from '../../../lib/policy/schemas.ts';
import { Exposure, StaleAction, type Tier, type Traffic } from '../../../proto/gen/headgate/v1/configured.ts';
import type { FleetState } from '../../fleet/state.ts';
import { compare } from '../../../lib/compare.ts';

/** Fields that a TrafficPolicy may set, each settled apart. */
export const trafficFields = [
  'exposure',
  'tiers',
  'onStale',
  'affinity',
  'timeouts',
  'retries',
  'balance',
  'healthCheck',
  'outlier',
  'slowStart',
  'limits',
  'backendProtocol',
  'backendTLS',
  'proxyProtocol',
  'passthrough',
] as const satisfies readonly (keyof TrafficPolicySpec)[];
export type TrafficField = (typeof trafficFields)[number];

/** Settled fields as a policy writes them, with clusters for selectors; durations in milliseconds. */
export interface TrafficValues extends Readonly<Pick<TrafficPolicySpec, Exclude<TrafficField, 'tiers'>>> {
  readonly tiers?: readonly ResolvedTier[];
}

export interface ResolvedTier {
  readonly clusters: readonly { readonly name: string; readonly weight: number }[];
  readonly spillBelow: number;
  readonly holdFor: number;
}

/**
 * Names for selectors: each member whose labels match gets the weight; a cluster named outright keeps its own.
 * Clusters that are no members are left out, then tiers without weight.
 * @returns undefined where nothing is left, so that the field counts as not set.
 */
export function resolveTiers(state: FleetState, tiers: readonly TierSpec[]): readonly ResolvedTier[] | undefined {
  const resolved = tiers.map((tier): ResolvedTier => {
    const weights = new Map<string, number>();
    for (const { name, weight } of tier.clusters)
      if (name !== undefined && state.members.has(name) && !weights.has(name)) weights.set(name, weight);
    for (const { selector, weight } of tier.clusters) {
      if (selector === undefined) continue;
      for (const name of selected(state, selector)) if (!weights.has(name)) weights.set(name, weight);
    }
    const clusters = [...weights].map(([name, weight]) => ({ name, weight })).sort((a, b) => compare(a.name, b.name));
    return { clusters, spillBelow: tier.spillBelow, holdFor: tier.holdFor };
  });
  const useful = resolved.filter((tier) => tier.clusters.some(({ weight }) => weight > 0));
  return useful.length === 0 ? undefined : useful;
}

function selected(state: FleetState, selector: Readonly<Record<string, string>>): string[] {
  const wanted = Object.entries(selector);
  return [...state.members.keys()].filter((name) => {
    const labels = new Map(Object.entries(state.clusterObjects.get(name)?.value.labels ?? {}));
    return wanted.every(([label, value]) => labels.get(label) === value);
  });
}

/** undefined where every field has its default. */
export function encodeTraffic(values: TrafficValues): Traffic | undefined {
  const { exposure, tiers, onStale, affinity, passthrough } = values;
  const everywhere = exposure === 'Everywhere';
  // A cookie cannot be seen in what passes through.
  const sticky = affinity?.cookie === true && passthrough !== true;
  if (!everywhere && tiers === undefined && onStale === undefined && !sticky) return undefined;
  return {
    tiers: (tiers ?? []).map((tier): Tier => ({
      clusters: tier.clusters.map(({ name, weight }) => ({ cluster: name, weight })),
      spillBelow: tier.spillBelow,
      holdForMs: BigInt(tier.holdFor),
    })),
    exposure: everywhere ? Exposure.EVERYWHERE : Exposure.DECLARED,
    onStale: onStale === undefined ? undefined : { afterMs: BigInt(onStale.after), action: actions[onStale.action] },
    affinity: sticky ? { drainMs: BigInt(affinity.drain) } : undefined,
  };
}

const actions = {
  Keep: StaleAction.KEEP,
  Deweight: StaleAction.DEWEIGHT,
  Drop: StaleAction.DROP,
} as const satisfies Record<NonNullable<TrafficPolicySpec['onStale']>['action'], StaleAction>;
