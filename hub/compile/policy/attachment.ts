import { unreachable } from '../../../lib/errors.ts';
import { routePath } from '../../../lib/domain/path.ts';
import type { TrafficPolicySpec } from '../../../lib/policy/schemas.ts';
import { PathType } from '../../../proto/gen/headgate/v1/configured.ts';
import { FLEET, type FleetIndex, isFleetLevel } from '../../fleet/fleet-index.ts';
import { routeTarget } from '../../fleet/route-target.ts';
import type { CommittedPolicy, FleetState } from '../../fleet/state.ts';

export type TrafficPolicy = CommittedPolicy<TrafficPolicySpec>;
export type TargetRef = TrafficPolicySpec['targetRefs'][number];

/** How near to a route a policy is attached: fleet < namespace < Ingress < a Route's host < its path. */
export const levels = ['Fleet', 'Namespace', 'Ingress', 'Host', 'Route'] as const;
export type Level = (typeof levels)[number];

export interface RouteIdentity {
  readonly host: string;
  readonly path: string;
  /** Namespace that owns the host. */
  readonly namespace: string;
  /** Names of the Ingresses that contribute, in whichever cluster. */
  readonly ingresses: ReadonlySet<string>;
}

/**
 * Whether a policy governs requests at every entry: the hub's, and a member's where the hub lets it
 * (`Cluster.spec.grants`). A grant for a namespace reaches no other, so it makes no policy one of the whole fleet.
 */
export function isGranted(state: FleetState, policy: TrafficPolicy): boolean {
  if (policy.clusterScope === undefined) return true;
  const grants = state.clusterObjects.get(policy.clusterScope)?.value.grants;
  if (grants === undefined) return false;
  return grants.policies === 'Fleet' || (!isFleetLevel(policy) && grants.namespaces.includes(policy.namespace));
}

/** Every policy that may govern routes of a namespace: the hub's, and the members' whether granted or not. */
export function policiesFor(state: FleetState, index: FleetIndex, namespace: string): TrafficPolicy[] {
  const fleetLevel = [...(index.policies.get(FLEET)?.values() ?? [])].filter((policy) => isGranted(state, policy));
  return [...fleetLevel, ...(index.policies.get(namespace)?.values() ?? [])].filter(
    ({ clusterScope }) => clusterScope === undefined || state.members.has(clusterScope),
  );
}

/** The nearest level at which one of `policiesFor` is attached to a route; undefined where it is not. */
export function attachment(policy: TrafficPolicy, route: RouteIdentity): Level | undefined {
  if (isFleetLevel(policy)) return 'Fleet';
  if (policy.namespace !== route.namespace) return undefined;
  let nearest = -1;
  for (const ref of policy.value.targetRefs)
    nearest = Math.max(nearest, levels.indexOf(levelOf(ref, route) ?? 'Fleet'));
  return nearest > 0 ? levels[nearest] : undefined;
}

function levelOf(ref: TargetRef, route: RouteIdentity): Level | undefined {
  if (!isKnownGroup(ref)) return undefined;
  switch (ref.kind) {
    case 'Namespace':
      return ref.name === route.namespace ? 'Namespace' : undefined;
    case 'Ingress':
      return route.ingresses.has(ref.name) ? 'Ingress' : undefined;
    case 'Route': {
      const { host, path } = routeTarget(ref.name);
      if (host !== route.host) return undefined;
      if (path === undefined) return 'Host';
      return pathsOf(path).has(route.path) ? 'Route' : undefined;
    }
    default:
      return unreachable(ref.kind);
  }
}

export function isKnownGroup({ group, kind }: TargetRef): boolean {
  switch (kind) {
    case 'Namespace':
      return group === '';
    case 'Ingress':
      return group === 'networking.k8s.io';
    case 'Route':
      return group === 'headgate.dev';
    default:
      return unreachable(kind);
  }
}

/** A target's path stands for the Exact and the Prefix route of that path. */
export function pathsOf(path: string): Set<string> {
  return new Set([path, routePath(PathType.EXACT, path), routePath(PathType.PREFIX, path)]);
}
