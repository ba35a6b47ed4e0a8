import { pathTypeName } from '../../../lib/domain/rule-path.ts';
import { requestHost } from '../../../lib/domain/host-name.ts';
import { matchRequest } from '../../../lib/domain/match-request.ts';
import { normalPath } from '../../../lib/domain/path.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import { splitRoute } from '../../../lib/split/split.ts';
import type { ClusterCondition } from '../../../lib/split/types.ts';
import { Host, type Route, type RouteSplit } from '../../../proto/gen/headgate/v1/configured.ts';
import type { FleetState } from '../../fleet/state.ts';
import { bodyFor } from '../body-for.ts';
import type { ExplainedCluster, ExplainedRoute, Explanation, ExplainRequest } from './explanation.ts';
import { compare } from '../../../lib/compare.ts';
import type { CompiledHost } from '../types.ts';

type Lookup = (host: string) => CompiledHost | undefined;
type EffectiveSplit = Pick<RouteSplit, 'shares' | 'fallbacks' | 'sticky' | 'tier' | 'reasons'>;

/**
 * What happens to a request at one entry, and why. The split is the one that the entry's cluster agent reports;
 * where it has reported none, the same function over what the hub knows.
 * @param compiled every host's compiled result, "*" included.
 * @throws HeadgateError HG2007 where the entry is no member.
 */
export function explainRequest(state: FleetState, compiled: Lookup, request: ExplainRequest): Explanation {
  const { entry, path } = request;
  if (!state.members.has(entry)) {
    throw new HeadgateError('HG2007', `there is no cluster ${JSON.stringify(entry.slice(0, 63))}`, {
      remedy: 'see headgate cluster list',
    });
  }
  const base = { request, normalPath: normalPath(path) };
  const match = matchRequest((name) => bodyAt(compiled(name), entry), requestHost(request.host), path);
  if (match === undefined) {
    return { ...base, outcome: '404', summary: whyNoRoute(compiled, request), route: undefined };
  }
  const result = compiled(match.host.name);
  const route = explainRoute(state, result, match.host, match.route, entry);
  const served = route.clusters.some(({ share }) => share > 0);
  const named = `${route.pathType} ${route.host}${route.path}`;
  const summary = served
    ? `${named} is served by ${route.clusters.flatMap(shareInWords).join(', ')}`
    : `${named} answers 503: ${route.reasons.join('; ')}`;
  return { ...base, outcome: served ? 'served' : '503', summary, route };
}

function bodyAt(compiled: CompiledHost | undefined, entry: string): Host | undefined {
  const body = compiled === undefined ? undefined : bodyFor(compiled, entry);
  return body === undefined ? undefined : Host.decode(body.body);
}

function whyNoRoute(compiled: Lookup, { host, entry }: ExplainRequest): string {
  const name = requestHost(host);
  if (name === undefined) return `${entry} answers 404: the request names no valid host`;
  const elsewhere = compiled(name)?.recipients ?? [];
  if (elsewhere.includes(entry)) return `${entry} answers 404: ${name} has no such path`;
  return elsewhere.length === 0
    ? `${entry} answers 404: no cluster serves ${name}`
    : `${entry} answers 404: ${name} is served only where it is declared: ${elsewhere.join(', ')}`;
}

function explainRoute(
  state: FleetState,
  compiled: CompiledHost | undefined,
  host: Host,
  route: Route,
  entry: string,
): ExplainedRoute {
  const reported = state.clusters
    .get(entry)
    ?.splits.get(host.name)
    ?.routes.find(({ routeId }) => routeId === route.id);
  const split = reported ?? computeSplit(state, route, entry);
  const origins = compiled?.origins.get(route.id);
  const shares = new Map(split.shares.map(({ cluster, share }) => [cluster, share]));
  const clusters = route.contributions
    .map(({ cluster, backend, ready }): ExplainedCluster => {
      const share = shares.get(cluster) ?? 0;
      return { cluster, share, why: why(cluster, share, entry, route, split), backend, ready };
    })
    .sort((a, b) => b.share - a.share || compare(a.cluster, b.cluster));
  return {
    id: route.id,
    host: host.name,
    owner: host.namespace === '' ? undefined : host.namespace,
    pathType: pathTypeName(route.pathType),
    path: route.path,
    recipients: compiled?.recipients ?? [],
    fields: origins?.get(entry) ?? origins?.get('') ?? [],
    splitSource: reported === undefined ? 'computed' : 'agent',
    clusters,
    fallbacks: split.fallbacks,
    sticky: split.sticky,
    tier: split.tier,
    reasons: split.reasons,
  };
}

function computeSplit(state: FleetState, route: Route, entry: string): EffectiveSplit {
  const clusters = new Map<string, ClusterCondition>();
  for (const name of state.members.keys()) {
    clusters.set(name, {
      cordoned: state.clusterObjects.get(name)?.value.cordoned ?? false,
      staleMs: state.staleMs.get(name) ?? 0,
      // Only the entry's own probes know; the hub assumes the best.
      reachable: true,
    });
  }
  const ready = new Map(route.contributions.map((contribution) => [contribution.cluster, contribution.ready]));
  return splitRoute({ self: entry, ready, traffic: route.traffic, clusters, now: 0, memory: undefined });
}

function why(cluster: string, share: number, entry: string, route: Route, split: EffectiveSplit): string {
  const prefix = `${cluster}: `;
  const reason = split.reasons.find((line) => line.startsWith(prefix))?.slice(prefix.length);
  const tiers = route.traffic?.tiers ?? [];
  if (share === 0) {
    if (reason !== undefined) return reason;
    if (tiers.length === 0) return `${entry} serves its own first`;
    const tier = tiers.findIndex(({ clusters }) => clusters.some((c) => c.cluster === cluster && c.weight > 0));
    return tier === -1 ? 'no tier gives it weight' : `tier ${tier + 1} is not needed`;
  }
  if (tiers.length > 0) {
    const tier = tiers.findIndex(({ clusters }) => clusters.some((c) => c.cluster === cluster && c.weight > 0));
    const weight = tiers[tier]?.clusters.find((c) => c.cluster === cluster)?.weight ?? 0;
    return `weight ${weight} in tier ${tier + 1}`;
  }
  return cluster === entry ? 'serves its own first' : `takes over from ${entry}, in proportion to ready endpoints`;
}

function shareInWords({ cluster, share }: ExplainedCluster): string[] {
  return share === 0 ? [] : [`${cluster} ${share / 1_000} %`];
}
