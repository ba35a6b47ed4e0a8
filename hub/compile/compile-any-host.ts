import { ANY_HOST } from '../../lib/domain/host-name.ts';
import { routeId } from '../../lib/domain/route-id.ts';
import { type Resource, resource } from '../../lib/sync/index.ts';
import { Host, PathType, type Route } from '../../proto/gen/headgate/v1/configured.ts';
import type { FleetState } from '../fleet/state.ts';
import { admit } from './host/admit.ts';
import { contribute, sortBackends } from './host/contribution.ts';
import type { Offer } from './host/offers.ts';
import { compare } from '../../lib/compare.ts';
import { sortStatuses } from './status.ts';
import type { CompiledHost, ObjectStatus } from './types.ts';

/**
 * Rules without a host and default backends. They belong to their own cluster and never cross, so every cluster
 * has a body of its own, no route has more than one contribution, and no policy splits it.
 */
export function compileAnyHost(state: FleetState, offers: readonly Offer[]): CompiledHost {
  const statuses: ObjectStatus[] = [];
  const variants = new Map<string, Resource>();
  const backends = new Map<string, readonly Resource[]>();
  const byCluster = Map.groupBy(offers, ({ cluster }) => cluster);
  for (const cluster of [...byCluster.keys()].sort(compare)) {
    const admission = admit(ANY_HOST, byCluster.get(cluster) ?? []);
    statuses.push(...admission.statuses);
    const used: Resource[] = [];
    const routes: Route[] = [];
    let defaultRoute: Route | undefined;
    for (const { offers: standing } of admission.routes.values()) {
      for (const offer of standing) {
        const { contribution, backend, status } = contribute(state, offer);
        if (backend !== undefined) used.push(backend);
        if (status !== undefined) statuses.push(status);
        const { pathType, path } = offer;
        const id = routeId(ANY_HOST, pathType, path);
        const route = { id, path, contributions: [contribution], traffic: undefined, backendSettings: undefined };
        if (offer.isDefault) defaultRoute = { ...route, pathType: PathType.PREFIX };
        else routes.push({ ...route, pathType });
      }
    }
    if (routes.length === 0 && defaultRoute === undefined) continue;
    routes.sort((a, b) => compare(a.path, b.path) || a.pathType - b.pathType);
    const message: Host = { name: ANY_HOST, namespace: '', routes, defaultRoute };
    variants.set(cluster, resource('host', ANY_HOST, Host.encode(message).finish()));
    backends.set(cluster, sortBackends(used));
  }
  return {
    name: ANY_HOST,
    body: undefined,
    variants,
    recipients: [...variants.keys()],
    backends,
    statuses: sortStatuses(statuses),
    reach: new Map(),
    origins: new Map(),
  };
}
