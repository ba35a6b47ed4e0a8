import { ANY_HOST } from '../../../lib/domain/host-name.ts';
import { routePath, validRulePath } from '../../../lib/domain/path.ts';
import { isRoutePath } from '../../../lib/domain/rule-path.ts';
import { PathType } from '../../../proto/gen/headgate/v1/configured.ts';
import type { BackendRef } from '../../../proto/gen/headgate/v1/reported.ts';
import type { FleetIndex } from '../../fleet/fleet-index.ts';
import { claimKey, type CommittedIngress, type FleetState } from '../../fleet/state.ts';
import { compare, compareBigint } from '../../../lib/compare.ts';

/** One rule of one Ingress that wants to serve a path of a host. */
export interface Offer {
  readonly cluster: string;
  readonly namespace: string;
  /** Name of the Ingress. */
  readonly ingress: string;
  /** The Ingress's default backend: it has neither path type nor path. */
  readonly isDefault: boolean;
  readonly pathType: PathType;
  /** As routes are known by it; see `routePath`. */
  readonly path: string;
  readonly backend: BackendRef | undefined;
  /** Revision at which the Ingress first claimed this host and path. */
  readonly claimedAt: bigint;
  readonly field: string;
  /** Why it cannot be served at all. */
  readonly invalid: string | undefined;
}

/**
 * Every offer for a host by a member of the fleet, the first committed first. Ties go by namespace and name,
 * then cluster: never by anything that a cluster's clock says.
 */
export function offersFor(state: FleetState, index: FleetIndex, host: string): Offer[] {
  const offers: Offer[] = [];
  for (const { cluster, ingress } of index.hosts.get(host)?.values() ?? []) {
    const committed = state.clusters.get(cluster)?.ingresses.get(ingress);
    if (committed !== undefined && state.members.has(cluster)) offers.push(...offersOf(cluster, committed, host));
  }
  return offers.sort(firstCommitted);
}

function firstCommitted(a: Offer, b: Offer): number {
  return (
    compareBigint(a.claimedAt, b.claimedAt) ||
    compare(a.namespace, b.namespace) ||
    compare(a.ingress, b.ingress) ||
    compare(a.cluster, b.cluster) ||
    compare(a.path, b.path) ||
    a.pathType - b.pathType ||
    compare(a.field, b.field)
  );
}

function* offersOf(cluster: string, committed: CommittedIngress, host: string): Iterable<Offer> {
  const { value, claimedAt, createRevision } = committed;
  const base = { cluster, namespace: value.namespace, ingress: value.name };
  for (const [at, rule] of value.rules.entries()) {
    if ((rule.host === '' ? ANY_HOST : rule.host) !== host) continue;
    const pathType =
      rule.pathType === PathType.EXACT || rule.pathType === PathType.REGEX ? rule.pathType : PathType.PREFIX;
    const path = routePath(pathType, rule.path);
    yield {
      ...base,
      isDefault: false,
      pathType,
      path,
      backend: rule.backend,
      claimedAt: claimedAt.get(claimKey(rule.host, rule.pathType, rule.path)) ?? createRevision,
      field: `spec.rules[${at}]`,
      invalid: (pathType === PathType.REGEX ? isRoutePath(pathType, path) : validRulePath(rule.path))
        ? undefined
        : 'the path is not absolute, or holds a space, a control character, "?" or "#"',
    };
  }
  if (host === ANY_HOST && value.defaultBackend !== undefined) {
    yield {
      ...base,
      isDefault: true,
      pathType: PathType.UNSPECIFIED,
      path: '/',
      backend: value.defaultBackend,
      claimedAt: claimedAt.get(claimKey('', PathType.UNSPECIFIED, '')) ?? createRevision,
      field: 'spec.defaultBackend',
      invalid: undefined,
    };
  }
}
