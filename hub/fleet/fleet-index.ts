import { ANY_HOST, validHost, wildcardOf } from '../../lib/domain/host-name.ts';
import type { HostClaimSpec, TrafficPolicySpec } from '../../lib/policy/schemas.ts';
import type { Ingress } from '../../proto/gen/headgate/v1/reported.ts';
import { type MapDraft, ShardedMap } from './sharded-map.ts';
import type { CommittedPolicy } from './state.ts';

/** An Ingress that names a host. */
export interface HostUse {
  readonly cluster: string;
  /** `<namespace>/<name>` */
  readonly ingress: string;
}

type Uses<T> = ShardedMap<T>;

/**
 * Where things are, so that one change finds what it touches without a walk over the fleet. Immutable; a
 * function of the state alone. Inner maps are keyed by what identifies the entry.
 */
export interface FleetIndex {
  /** Host → the Ingresses that name it; "*" holds rules without a host and default backends. */
  readonly hosts: ShardedMap<Uses<HostUse>>;
  /** `<cluster>/<namespace>/<service>` → hosts that route to it. */
  readonly services: ShardedMap<Uses<string>>;
  /** Wildcard, whether anybody names it or not → hosts that it covers. */
  readonly covered: ShardedMap<Uses<string>>;
  /** Namespace → hosts that its Ingresses name. */
  readonly namespaces: ShardedMap<Uses<string>>;
  /** Namespace → its TrafficPolicies, the hub's and the members'; those without a target under FLEET. */
  readonly policies: ShardedMap<Uses<CommittedPolicy<TrafficPolicySpec>>>;
  /** Host or wildcard → the HostClaims that name it. */
  readonly claims: ShardedMap<Uses<CommittedPolicy<HostClaimSpec>>>;
}

/** Key of policies without a target in `FleetIndex.policies`: no namespace is called so. */
export const FLEET = '';

/** A policy without a target is for the whole fleet: the hub's, or a member's that the hub lets. */
export function isFleetLevel(policy: CommittedPolicy<TrafficPolicySpec>): boolean {
  return policy.value.targetRefs.length === 0;
}

function policyId(policy: Pick<CommittedPolicy<unknown>, 'clusterScope' | 'namespace' | 'name'>): string {
  return `${policy.clusterScope ?? ''}/${policy.namespace}/${policy.name}`;
}

/** Hosts of an Ingress, "*" included; names that are none are left out. */
export function hostsOf(ingress: Ingress): Set<string> {
  const hosts = new Set<string>();
  for (const { host } of ingress.rules) {
    if (host === '') hosts.add(ANY_HOST);
    else if (validHost(host)) hosts.add(host);
  }
  if (ingress.defaultBackend !== undefined) hosts.add(ANY_HOST);
  return hosts;
}

/** Hosts per Service that an Ingress routes to. */
function serviceUses(ingress: Ingress): Map<string, Set<string>> {
  const uses = new Map<string, Set<string>>();
  const add = (service: string | undefined, host: string) => {
    if (service === undefined) return;
    const hosts = uses.get(service);
    if (hosts === undefined) uses.set(service, new Set([host]));
    else hosts.add(host);
  };
  for (const rule of ingress.rules) add(rule.backend?.service, rule.host === '' ? ANY_HOST : rule.host);
  add(ingress.defaultBackend?.service, ANY_HOST);
  return uses;
}

/** A batch of changes to an index. */
export class IndexDraft {
  readonly #hosts: MapDraft<Uses<HostUse>>;
  readonly #services: MapDraft<Uses<string>>;
  readonly #covered: MapDraft<Uses<string>>;
  readonly #namespaces: MapDraft<Uses<string>>;
  readonly #policies: MapDraft<Uses<CommittedPolicy<TrafficPolicySpec>>>;
  readonly #claims: MapDraft<Uses<CommittedPolicy<HostClaimSpec>>>;

  constructor(base: FleetIndex | undefined) {
    this.#hosts = edit(base?.hosts);
    this.#services = edit(base?.services);
    this.#covered = edit(base?.covered);
    this.#namespaces = edit(base?.namespaces);
    this.#policies = edit(base?.policies);
    this.#claims = edit(base?.claims);
  }

  ingress(cluster: string, previous: Ingress | undefined, next: Ingress | undefined): void {
    if (previous !== undefined) this.#ingress(cluster, previous, false);
    if (next !== undefined) this.#ingress(cluster, next, true);
  }

  #ingress(cluster: string, ingress: Ingress, there: boolean): void {
    const change = <T>(map: MapDraft<Uses<T>>, key: string, id: string, value: T) =>
      there ? add(map, key, id, value) : remove(map, key, id);
    const key = `${ingress.namespace}/${ingress.name}`;
    const use = `${cluster}/${key}`;
    for (const host of hostsOf(ingress)) {
      change(this.#hosts, host, use, { cluster, ingress: key });
      const wildcard = wildcardOf(host);
      if (wildcard !== undefined) change(this.#covered, wildcard, `${use}/${host}`, host);
      change(this.#namespaces, ingress.namespace, `${use}/${host}`, host);
    }
    for (const [service, hosts] of serviceUses(ingress)) {
      for (const host of hosts)
        change(this.#services, `${cluster}/${ingress.namespace}/${service}`, `${use}/${host}`, host);
    }
  }

  trafficPolicy(
    previous: CommittedPolicy<TrafficPolicySpec> | undefined,
    next: CommittedPolicy<TrafficPolicySpec> | undefined,
  ): void {
    if (previous !== undefined) remove(this.#policies, policyGroup(previous), policyId(previous));
    if (next !== undefined) add(this.#policies, policyGroup(next), policyId(next), next);
  }

  hostClaim(
    previous: CommittedPolicy<HostClaimSpec> | undefined,
    next: CommittedPolicy<HostClaimSpec> | undefined,
  ): void {
    for (const pattern of previous?.value.hosts ?? []) remove(this.#claims, pattern, previous?.name ?? '');
    if (next !== undefined) for (const pattern of next.value.hosts) add(this.#claims, pattern, next.name, next);
  }

  hostsOfService(key: string): Iterable<string> {
    return this.#services.get(key)?.values() ?? [];
  }

  hostsOfNamespace(namespace: string): Iterable<string> {
    return this.#namespaces.get(namespace)?.values() ?? [];
  }

  /** Of the Ingresses of one name, in whichever cluster. */
  *hostsOfIngress(namespace: string, name: string): Iterable<string> {
    for (const [use, host] of this.#namespaces.get(namespace)?.entries() ?? []) {
      if (use.slice(use.indexOf('/') + 1) === `${namespace}/${name}/${host}`) yield host;
    }
  }

  hosts(): Iterable<string> {
    return this.#hosts.keys();
  }

  done(): FleetIndex {
    return {
      hosts: this.#hosts.done(),
      services: this.#services.done(),
      covered: this.#covered.done(),
      namespaces: this.#namespaces.done(),
      policies: this.#policies.done(),
      claims: this.#claims.done(),
    };
  }
}

function policyGroup(policy: CommittedPolicy<TrafficPolicySpec>): string {
  return isFleetLevel(policy) ? FLEET : policy.namespace;
}

function edit<T>(base: ShardedMap<Uses<T>> | undefined): MapDraft<Uses<T>> {
  return (base ?? ShardedMap.empty<Uses<T>>()).edit();
}

function add<T>(map: MapDraft<Uses<T>>, key: string, id: string, value: T): void {
  const inner = (map.get(key) ?? ShardedMap.empty<T>()).edit();
  inner.set(id, value);
  map.set(key, inner.done());
}

function remove<T>(map: MapDraft<Uses<T>>, key: string, id: string): void {
  const inner = map.get(key)?.edit();
  if (inner === undefined) return;
  inner.delete(id);
  if (inner.size === 0) map.delete(key);
  else map.set(key, inner.done());
}
