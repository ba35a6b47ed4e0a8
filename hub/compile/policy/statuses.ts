import type { TrafficPolicySpec } from '../../../lib/policy/schemas.ts';
import { Host } from '../../../proto/gen/headgate/v1/configured.ts';
import { routeTarget } from '../../fleet/route-target.ts';
import type { CommittedPolicy, FleetState } from '../../fleet/state.ts';
import { MAX_SHARES } from '../../../lib/split/types.ts';
import { isGranted, isKnownGroup, pathsOf, type TargetRef, type TrafficPolicy } from './attachment.ts';
import { resolveTiers } from './values.ts';
import { policyStatus, sortStatuses } from '../status.ts';
import type { CompiledHost, ObjectStatus } from '../types.ts';

export type Lookup = (host: string) => CompiledHost | undefined;

/**
 * What is wrong with each policy object by itself: targets and clusters that do not exist, targets outside its
 * namespace. The rest of such a policy stands. Conflicts about a route's fields are the host's statuses.
 */
export function policyStatuses(state: FleetState, compiled: Lookup): ObjectStatus[] {
  const statuses: ObjectStatus[] = [];
  const members = [...state.clusters.values()].filter(({ name }) => state.members.has(name));
  const policies = [state.trafficPolicies, ...members.map((cluster) => cluster.policies)];
  for (const policy of policies.flatMap((map) => [...map.values()])) {
    statuses.push(...trafficPolicyStatuses(state, compiled, policy));
  }
  for (const claim of state.hostClaims.values()) {
    for (const name of unknownClusters(state, claim.value.clusters ?? []))
      statuses.push(unknownCluster(claim, name, 'spec.clusters'));
  }
  for (const object of state.clusterObjects.values()) {
    if (state.members.has(object.name)) continue;
    statuses.push(unknownCluster(object, object.name, 'metadata.name'));
  }
  return sortStatuses(statuses);
}

/** The same of one policy. */
export function trafficPolicyStatuses(state: FleetState, compiled: Lookup, policy: TrafficPolicy): ObjectStatus[] {
  return [...targetStatuses(state, compiled, policy), ...clusterStatuses(state, policy)];
}

function* targetStatuses(state: FleetState, compiled: Lookup, policy: TrafficPolicy): Iterable<ObjectStatus> {
  const { targetRefs } = policy.value;
  if (targetRefs.length === 0 && !isGranted(state, policy)) {
    yield policyStatus(policy, {
      accepted: false,
      reason: 'Invalid',
      code: 'HG1002',
      field: 'spec.targetRefs',
      message: `a policy without a target governs the whole fleet, which the hub has not granted to cluster ${policy.clusterScope ?? ''}`,
      remedy: `name an Ingress, the Namespace or a Route as target, or have Cluster ${policy.clusterScope ?? ''} at the hub grant policies: Fleet`,
    });
  }
  for (const [at, ref] of targetRefs.entries()) {
    const message = targetFault(state, compiled, policy.namespace, ref);
    if (message === undefined) continue;
    yield policyStatus(policy, {
      // Where another target stands the policy goes on governing that.
      accepted: targetRefs.length > 1,
      reason: 'TargetNotFound',
      code: 'HG1008',
      field: `spec.targetRefs[${at}]`,
      message,
      remedy: 'name a target that exists in the namespace of the policy',
    });
  }
}

function targetFault(state: FleetState, compiled: Lookup, namespace: string, ref: TargetRef): string | undefined {
  if (!isKnownGroup(ref)) return `there is no kind ${ref.kind} in group "${ref.group}"`;
  if (ref.kind === 'Namespace')
    return ref.name === namespace ? undefined : `a policy targets its own namespace only, not ${ref.name}`;
  if (ref.kind === 'Ingress') {
    const key = `${namespace}/${ref.name}`;
    const known = [...state.members.keys()].some((name) => state.clusters.get(name)?.ingresses.has(key));
    return known ? undefined : `no cluster has an Ingress ${key}`;
  }
  const { host, path } = routeTarget(ref.name);
  const body = compiled(host)?.body;
  const known = body === undefined ? undefined : Host.decode(body.body);
  if (known?.namespace !== namespace) return `namespace ${namespace} has no host ${host}`;
  if (path === undefined) return undefined;
  const paths = pathsOf(path);
  return known.routes.some((route) => paths.has(route.path)) ? undefined : `host ${host} has no path ${path}`;
}

function* clusterStatuses(state: FleetState, policy: TrafficPolicy): Iterable<ObjectStatus> {
  const parts: [string, Pick<TrafficPolicySpec, 'tiers'> | undefined][] = [
    ['spec', policy.value],
    ['spec.defaults', policy.value.defaults],
    ['spec.overrides', policy.value.overrides],
  ];
  for (const [where, fields] of parts) {
    for (const [at, tier] of (fields?.tiers ?? []).entries()) {
      const names = tier.clusters.flatMap(({ name }) => name ?? []);
      for (const name of unknownClusters(state, names))
        yield unknownCluster(policy, name, `${where}.tiers[${at}].clusters`);
      const weighted = resolveTiers(state, [tier])?.[0]?.clusters.filter(({ weight }) => weight > 0) ?? [];
      if (weighted.length > MAX_SHARES) yield tooMany(policy, weighted.length, `${where}.tiers[${at}].clusters`);
    }
  }
}

/** The split itself keeps to the limit, so what is served goes on. */
function tooMany(policy: TrafficPolicy, clusters: number, field: string): ObjectStatus {
  return policyStatus(policy, {
    accepted: true,
    reason: 'PartiallyProgrammed',
    code: 'HG5005',
    field,
    message: `${clusters} clusters have a weight here; the ${MAX_SHARES} with the largest share the requests, the others are fallbacks`,
    remedy: `let its selectors match at most ${MAX_SHARES} clusters, or spread them over several tiers`,
  });
}

function unknownClusters(state: FleetState, names: readonly string[]): string[] {
  return names.filter((name) => !state.members.has(name));
}

function unknownCluster(policy: CommittedPolicy<unknown>, name: string, field: string): ObjectStatus {
  return policyStatus(policy, {
    accepted: true,
    reason: 'PartiallyProgrammed',
    code: 'HG1008',
    field,
    message: `there is no cluster ${name}; the rest stands`,
    remedy: 'name a cluster that `headgate get clusters` shows, or add it',
  });
}
