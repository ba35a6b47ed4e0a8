import { PathType, type Route } from '../../../proto/gen/headgate/v1/configured.ts';
import type { Offer } from '../host/offers.ts';
import { ingressStatus, policyStatus } from '../status.ts';
import type { ObjectStatus } from '../types.ts';
import type { RouteIdentity } from './attachment.ts';
import { type Bid, describe, fieldOf, type Settled } from './settle.ts';

/** A route before policy. */
export interface BareRoute {
  readonly route: Omit<Route, 'traffic' | 'backendSettings'>;
  readonly identity: RouteIdentity;
  readonly offers: readonly Offer[];
}

interface HostSettled {
  /** Per route, in their order; undefined for one that is not served. */
  readonly settled: readonly (Settled | undefined)[];
  readonly statuses: readonly ObjectStatus[];
}

/**
 * Passing TLS through is a property of a host: its paths cannot be seen. The Prefix route "/" decides. Where it
 * passes through, so does the whole host, and other paths are refused, since their requests reach the endpoints
 * of "/" in any case. Where it does not, no other path can: the setting has no effect there.
 * @param entry whose own policies these are; undefined for the whole fleet.
 */
export function settlePassthrough(
  routes: readonly BareRoute[],
  settled: readonly Settled[],
  entry: string | undefined,
): HostSettled {
  if (!settled.some(({ values }) => values.passthrough === true)) return { settled, statuses: [] };
  const root = routes.findIndex(({ route }) => route.pathType === PathType.PREFIX && route.path === '/');
  const decides = settled[root];
  const winner = decides?.bids.get('passthrough')?.[0];
  if (decides?.values.passthrough !== true || winner === undefined) return withoutPassthrough(routes, settled);
  return {
    settled: settled.map((one, at) => (at === root ? one : undefined)),
    statuses: routes.flatMap((route, at) =>
      at === root ? [] : route.offers.map((offer) => hidden(route, offer, winner, entry)),
    ),
  };
}

function withoutPassthrough(routes: readonly BareRoute[], settled: readonly Settled[]): HostSettled {
  const statuses: ObjectStatus[] = [];
  const without = settled.map((one, at): Settled => {
    const winner = one.bids.get('passthrough')?.[0];
    const { host, path } = routes[at]?.identity ?? { host: '', path: '' };
    if (one.values.passthrough !== true || winner === undefined) return one;
    statuses.push(
      policyStatus(winner.policy, {
        accepted: true,
        reason: 'Conflicted',
        code: 'HG1011',
        field: fieldOf(winner),
        message: `${host}${path} is not passed through: only the Prefix path / of a host can be, with the whole host`,
        remedy: `let the policy govern Prefix / of ${host} too, or remove passthrough`,
      }),
    );
    return { ...one, values: { ...one.values, passthrough: false } };
  });
  return { settled: without, statuses };
}

function hidden({ identity }: BareRoute, offer: Offer, winner: Bid, entry: string | undefined): ObjectStatus {
  const where = entry === undefined ? '' : ` for requests that enter ${entry}`;
  return ingressStatus(offer, {
    accepted: entry !== undefined,
    reason: entry === undefined ? 'Conflicted' : 'PartiallyProgrammed',
    code: 'HG1011',
    message: `${identity.host}${identity.path} is not served${where}: ${describe(winner)} passes the TLS of the whole host through to Prefix /`,
    remedy: 'move the path to a host of its own, or remove passthrough from the policy',
  });
}
