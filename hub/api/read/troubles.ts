import type { ClusterState, FleetState } from '../../fleet/state.ts';
import type { BackendHealth, Ingress } from '../../../proto/gen/headgate/v1/reported.ts';
import type { RejectionItem } from '../types.ts';

/** What nodes rejected of some resources, in the nodes' and HAProxy's own words. @param resources `<type>/<name>` */
export function rejectionsOf(
  { name: cluster, verdicts }: Pick<ClusterState, 'name' | 'verdicts'>,
  resources: Iterable<string>,
): readonly RejectionItem[] {
  return [...resources].flatMap((resource) =>
    (verdicts.get(resource)?.rejections ?? []).map(
      ({ node, code, field, message, remedy, haproxy, transient }): RejectionItem => ({
        cluster,
        node,
        resource,
        code,
        field,
        message,
        remedy,
        haproxy,
        transient,
      }),
    ),
  );
}

/** How many resources are rejected, by whomever. */
export function resourceCount(rejections: readonly RejectionItem[]): number {
  return new Set(rejections.map(({ cluster, resource }) => `${cluster}/${resource}`)).size;
}

/** Endpoints of a backend that get requests at the node where fewest do. Only exceptions are reported. */
export function liveOf(state: FleetState, cluster: string, backend: string, ready: number): number {
  const health = state.clusters.get(cluster)?.health.get(backend);
  return health === undefined ? ready : worstOf(health).live;
}

/** At the node where fewest get requests. */
export function worstOf({ impaired }: BackendHealth): { readonly live: number; readonly total: number } {
  return impaired.reduce((worst, one) => (one.live < worst.live ? one : worst), impaired[0] ?? { live: 0, total: 0 });
}

/** Names of the backend resources of an Ingress, each once. */
export function backendsOf({ namespace, rules, defaultBackend }: Ingress): ReadonlySet<string> {
  const refs = [...rules.map(({ backend }) => backend), defaultBackend];
  return new Set(
    refs.flatMap((ref) => {
      if (ref === undefined) return [];
      return [`${namespace}/${ref.service}/${ref.portName === '' ? ref.portNumber : ref.portName}`];
    }),
  );
}
