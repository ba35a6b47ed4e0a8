import type { FleetState } from '../../fleet/state.ts';
import { compare, compareBigint } from '../../../lib/compare.ts';
import { attachment, type Level, levels, type RouteIdentity, type TrafficPolicy } from './attachment.ts';
import { resolveTiers, type TrafficField, trafficFields, type TrafficValues } from './values.ts';
import { blocksBegun } from '../../../lib/pem.ts';
import { policyStatus } from '../status.ts';
import type { FieldOrigin, ObjectStatus } from '../types.ts';

export interface Settled {
  readonly values: TrafficValues;
  readonly origins: readonly FieldOrigin[];
  /** Policies that lost a field to one of their own level. */
  readonly statuses: readonly ObjectStatus[];
  /** Who sets a field, the winner first. */
  readonly bids: ReadonlyMap<string, readonly Bid[]>;
}

export interface Bid {
  readonly policy: TrafficPolicy;
  readonly level: Level;
  readonly override: boolean;
  readonly field: TrafficField;
  readonly value: unknown;
}

const defaults = {
  exposure: 'Declared',
  tiers: 'local first',
  onStale: { action: 'Keep' },
  affinity: 'none',
  timeouts: 'default',
  retries: 'default',
  balance: 'default',
  healthCheck: 'default',
  outlier: 'default',
  slowStart: 'none',
  limits: 'none',
  backendProtocol: 'default',
  backendTLS: 'none',
  proxyProtocol: 'none',
  passthrough: false,
} as const satisfies Record<TrafficField, unknown>;

/** One object for each field that nobody sets, whatever the route. */
const unsetOrigins = trafficFields.map((field): FieldOrigin => ({
  field,
  value: defaults[field],
  winner: 'default',
  losers: [],
}));

const unset: Settled = { values: {}, origins: unsetOrigins, statuses: [], bids: new Map() };

/**
 * Settles a route's fields, each apart (GEP-713). Overrides beat defaults, and among overrides the level
 * farthest from the route wins, among defaults the nearest. At equal level the hub's wins, then the first
 * committed.
 * @param policies those that govern this entry, in any order.
 */
export function settle(state: FleetState, route: RouteIdentity, policies: readonly TrafficPolicy[]): Settled {
  const bids = policies.flatMap((policy) => {
    const level = attachment(policy, route);
    return level === undefined ? [] : [...bidsOf(state, policy, level)];
  });
  if (bids.length === 0) return unset;
  const byField = Map.groupBy(bids.sort(byPrecedence), ({ field }): string => field);
  const values: Record<string, unknown> = {};
  const statuses: ObjectStatus[] = [];
  const origins = unsetOrigins.map((origin): FieldOrigin => {
    const [winner, ...losers] = byField.get(origin.field) ?? [];
    if (winner === undefined) return origin;
    const { field, value } = winner;
    values[field] = value;
    for (const loser of losers) if (disagree(winner, loser)) statuses.push(disagreement(winner, loser, route));
    return { field, value: shown(value), winner: describe(winner), losers: [...new Set(losers.map(describe))] };
  });
  return { values, origins, statuses, bids: byField };
}

function* bidsOf(state: FleetState, policy: TrafficPolicy, level: Level): Iterable<Bid> {
  const { value: spec } = policy;
  for (const field of trafficFields) {
    for (const override of [false, true]) {
      const raw = override ? spec.overrides?.[field] : (spec.defaults?.[field] ?? spec[field]);
      if (raw === undefined) continue;
      const value = field === 'tiers' ? resolveTiers(state, raw as NonNullable<typeof spec.tiers>) : raw;
      if (value !== undefined) yield { policy, level, override, field, value };
    }
  }
}

function byPrecedence(a: Bid, b: Bid): number {
  if (a.override !== b.override) return a.override ? -1 : 1;
  const nearer = levels.indexOf(b.level) - levels.indexOf(a.level);
  return (
    (a.override ? -nearer : nearer) ||
    Number(b.policy.clusterScope === undefined) - Number(a.policy.clusterScope === undefined) ||
    compareBigint(a.policy.createRevision, b.policy.createRevision) ||
    compare(a.policy.namespace, b.policy.namespace) ||
    compare(a.policy.name, b.policy.name) ||
    compare(a.policy.clusterScope ?? '', b.policy.clusterScope ?? '')
  );
}

function disagree(winner: Bid, loser: Bid): boolean {
  return (
    winner.policy !== loser.policy &&
    winner.level === loser.level &&
    winner.override === loser.override &&
    !agree(winner, loser)
  );
}

/** Whether two say the same of a field. */
export function agree(a: Bid, b: Bid): boolean {
  return JSON.stringify(a.value) === JSON.stringify(b.value);
}

function disagreement(winner: Bid, loser: Bid, route: RouteIdentity): ObjectStatus {
  return policyStatus(loser.policy, {
    accepted: true,
    reason: 'Conflicted',
    code: 'HG1007',
    field: fieldOf(loser),
    message: `${describe(winner)} sets ${loser.field} of ${route.host}${route.path} otherwise and comes first`,
    remedy: 'set the field in one of the two, or to the same value in both',
  });
}

/** As people read it: of certificates how many, since they fill pages. */
function shown(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('ca' in value) || typeof value.ca !== 'string') return value;
  return { ...value, ca: `${blocksBegun(value.ca)} certificates` };
}

export function fieldOf({ override, field }: Bid): string {
  return `spec.${override ? 'overrides.' : ''}${field}`;
}

/** "TrafficPolicy shop/shop at hub", "… in cluster eu". */
export function describe({ policy, override }: Bid): string {
  const where = policy.clusterScope === undefined ? 'at hub' : `in cluster ${policy.clusterScope}`;
  return `${policy.kind} ${policy.namespace}/${policy.name} ${where}${override ? ' (overrides)' : ''}`;
}
