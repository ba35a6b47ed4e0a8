import { pathTypeName } from '../../../lib/domain/rule-path.ts';
import { ANY_HOST } from '../../../lib/domain/host-name.ts';
import { Host } from '../../../proto/gen/headgate/v1/configured.ts';
import type { FleetState } from '../../fleet/state.ts';
import type { HubView } from '../../view.ts';
import type { HostItem, RouteItem } from '../types.ts';
import { byParts } from './order.ts';
import { liveOf, rejectionsOf, resourceCount } from './troubles.ts';

const SHARE_UNITS = 100_000;

/**
 * A host as it is compiled, decoded: one body for all, or for "*" one per cluster, since its rules never cross.
 * Where entries have variants they differ in policy, not in routes, so one stands for all.
 */
export function compiledHosts(view: HubView, name: string): readonly Host[] {
  const compiled = view.compiled(name);
  if (compiled === undefined) return [];
  const variants = [...compiled.variants.values()];
  const bodies = name === ANY_HOST ? variants : [compiled.body ?? variants[0]];
  return bodies.flatMap((resource) => (resource === undefined ? [] : [Host.decode(resource.body)]));
}

export function routeItems(view: HubView): readonly RouteItem[] {
  const state = view.state();
  return view
    .hosts()
    .flatMap((name) => hostRoutes(state, name, compiledHosts(view, name), view.compiled(name)?.recipients ?? []))
    .sort(
      byParts(
        (item) => item.host,
        (item) => item.path,
        (item) => item.path_type,
        (item) => item.id,
      ),
    );
}

function hostRoutes(
  state: FleetState,
  name: string,
  hosts: readonly Host[],
  recipients: readonly string[],
): readonly RouteItem[] {
  const byId = new Map<string, RouteItem>();
  for (const host of hosts) {
    for (const route of [...host.routes, ...(host.defaultRoute === undefined ? [] : [host.defaultRoute])]) {
      const known = byId.get(route.id);
      const contributions = route.contributions.map(({ cluster, ready, backend }) => ({
        name: cluster,
        ready,
        live: liveOf(state, cluster, backend, ready),
        backend,
      }));
      const clusters = [...(known?.clusters ?? []), ...contributions].sort(byParts((item) => item.name));
      const rejections = routeRejections(state, name, recipients, clusters);
      byId.set(route.id, {
        host: name,
        path: route.path,
        path_type: pathTypeName(route.pathType),
        id: route.id,
        namespace: host.namespace,
        clusters,
        shares: known?.shares ?? sharesOf(state, name, route.id),
        problems: resourceCount(rejections) + clusters.filter(({ live, ready }) => live < ready).length,
        rejections,
      });
    }
  }
  return [...byId.values()];
}

/** Of the host where it is served, and of the backends that contribute. */
function routeRejections(
  state: FleetState,
  host: string,
  recipients: readonly string[],
  contributions: RouteItem['clusters'],
): RouteItem['rejections'] {
  const clusters = new Set([...recipients, ...contributions.map(({ name }) => name)]);
  return [...clusters].sort().flatMap((name) => {
    const cluster = state.clusters.get(name);
    if (cluster === undefined) return [];
    const backends = contributions.filter((one) => one.name === name).map(({ backend }) => `backend/${backend}`);
    return rejectionsOf(cluster, [`host/${host}`, ...backends]);
  });
}

/** Per entry cluster what its agent says it does; without those that say nothing. */
function sharesOf(state: FleetState, host: string, routeId: string): RouteItem['shares'] {
  const shares: Record<string, Record<string, number>> = {};
  for (const name of [...state.clusters.keys()].sort()) {
    const split = state.clusters
      .get(name)
      ?.splits.get(host)
      ?.routes.find((route) => route.routeId === routeId);
    if (split === undefined) continue;
    shares[name] = Object.fromEntries(split.shares.map(({ cluster, share }) => [cluster, share / SHARE_UNITS]));
  }
  return shares;
}

export function hostItems(view: HubView): readonly HostItem[] {
  const { owners } = view.state();
  const names = new Set([...view.hosts(), ...owners.keys()]);
  return [...names].sort().map((name) => {
    const hosts = compiledHosts(view, name);
    const compiled = view.compiled(name);
    const owner = owners.get(name);
    const released = owner?.releasedAt;
    return {
      name,
      namespace: owner?.namespace ?? hosts[0]?.namespace ?? '',
      routes: hostRoutes(view.state(), name, hosts, compiled?.recipients ?? []).length,
      clusters: compiled?.recipients ?? [],
      conflicts: compiled?.statuses.filter((status) => status.reason === 'Conflicted').length ?? 0,
      released: released === undefined ? null : new Date(released).toISOString(),
    };
  });
}
