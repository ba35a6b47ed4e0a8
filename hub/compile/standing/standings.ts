import type { Resource } from '../../../lib/sync/index.ts';
import type { FleetChange } from '../../fleet/change.ts';
import { routeTarget } from '../../fleet/route-target.ts';
import type { FleetState } from '../../fleet/state.ts';
import type { TrafficPolicy } from '../policy/attachment.ts';
import type { Reach } from '../policy/reach.ts';
import { type Lookup, trafficPolicyStatuses } from '../policy/statuses.ts';
import type { CompiledHost, HostChange, ObjectStatus } from '../types.ts';
import { encodeStanding, type ObjectName, standingName } from './encode.ts';
import { Tally } from './tally.ts';

/** Where objects at the hub stand: no cluster is called so. */
export const HUB = '';

/** Per member, and for the HUB, then per name: what differs; undefined for what is gone. */
export type StandingChanges = ReadonlyMap<string, ReadonlyMap<string, Resource | undefined>>;

interface Standing extends ObjectName {
  readonly key: string;
  readonly cluster: string;
  policy: TrafficPolicy | undefined;
  /** What is wrong with a policy by itself. */
  own: readonly ObjectStatus[];
  /** What is not as asked at each host. */
  readonly hosts: Map<string, readonly ObjectStatus[]>;
  readonly tally: Tally;
  /** metadata.generation that was last told. */
  generation: bigint;
  told: Resource | undefined;
}

/**
 * The status of each member's own objects, and of the hub's TrafficPolicies: every policy, and each Ingress of which
 * something is not as asked. A change costs the objects it is about; where a host has neither policies nor findings it costs nothing.
 */
export class Standings {
  readonly #objects = new Map<string, Standing>();
  /** "host <name>" or "ingress <namespace>/<name>" → policies that name it as target. */
  readonly #byTarget = new Map<string, Set<Standing>>();

  /** @param hosts those that were compiled anew. */
  apply(
    { state, everything, policies, ingresses }: Pick<FleetChange, 'state' | 'everything' | 'policies' | 'ingresses'>,
    hosts: ReadonlyMap<string, HostChange>,
    compiled: Lookup,
  ): StandingChanges {
    const dirty = new Set<Standing>();
    const recheck = new Set<Standing>();
    for (const [host, { previous, next }] of hosts) {
      this.#findings(state, host, previous?.statuses ?? [], next?.statuses ?? [], dirty);
      this.#reach(previous?.reach, next?.reach, dirty);
      for (const standing of this.#byTarget.get(`host ${host}`) ?? []) recheck.add(standing);
    }
    for (const ingress of ingresses)
      for (const standing of this.#byTarget.get(`ingress ${ingress}`) ?? []) recheck.add(standing);
    const known = everything ? [...this.#objects.values()].flatMap(({ policy }) => policy ?? []) : [];
    const stepped = policies.flatMap(({ previous, next }) => next ?? previous ?? []);
    const touched = [...known, ...stepped, ...(everything ? allPolicies(state) : [])];
    for (const standing of new Set(touched.map((policy) => this.#ofPolicy(policy)))) {
      this.#setPolicy(standing, currentPolicy(state, standing));
      dirty.add(standing);
      recheck.add(standing);
    }
    for (const standing of recheck) {
      const own = standing.policy === undefined ? [] : trafficPolicyStatuses(state, compiled, standing.policy);
      if (sameStatuses(own, standing.own)) continue;
      standing.own = own;
      dirty.add(standing);
    }
    return this.#tell(state, dirty);
  }

  get(cluster: string, name: ObjectName): Resource | undefined {
    return this.#objects.get(keyOf(cluster, name))?.told;
  }

  /** All that one member is told. */
  *of(cluster: string): Iterable<Resource> {
    for (const { cluster: of, told } of this.#objects.values()) if (of === cluster && told !== undefined) yield told;
  }

  #findings(
    state: FleetState,
    host: string,
    before: readonly ObjectStatus[],
    after: readonly ObjectStatus[],
    dirty: Set<Standing>,
  ): void {
    if (before.length === 0 && after.length === 0) return;
    const [was, is] = [this.#byObject(before), this.#byObject(after)];
    for (const standing of new Set([...was.keys(), ...is.keys()])) {
      const [old, now] = [was.get(standing) ?? [], is.get(standing) ?? []];
      if (now.length === 0) standing.hosts.delete(host);
      else standing.hosts.set(host, now);
      // An edit may leave the findings as they are.
      if (!sameStatuses(old, now) || generationOf(state, standing) !== standing.generation) dirty.add(standing);
    }
  }

  #byObject(statuses: readonly ObjectStatus[]): Map<Standing, readonly ObjectStatus[]> {
    return Map.groupBy(statuses, (status) => this.#standing(status.cluster ?? HUB, status));
  }

  #reach(
    previous: CompiledHost['reach'] | undefined,
    next: CompiledHost['reach'] | undefined,
    dirty: Set<Standing>,
  ): void {
    if ((previous?.size ?? 0) === 0 && (next?.size ?? 0) === 0) return;
    const [was, is] = [this.#reachByObject(previous), this.#reachByObject(next)];
    for (const standing of new Set([...was.keys(), ...is.keys()]))
      if (standing.tally.replace(was.get(standing), is.get(standing))) dirty.add(standing);
  }

  #reachByObject(reach: CompiledHost['reach'] | undefined): Map<Standing, Reach> {
    return new Map([...(reach?.values() ?? [])].map((one) => [this.#ofPolicy(one.policy), one]));
  }

  #ofPolicy(policy: TrafficPolicy): Standing {
    return this.#standing(policy.clusterScope ?? HUB, policy);
  }

  #standing(cluster: string, { kind, namespace, name }: ObjectName): Standing {
    const key = keyOf(cluster, { kind, namespace, name });
    let standing = this.#objects.get(key);
    if (standing === undefined) {
      const nothing = { policy: undefined, own: [], hosts: new Map(), tally: new Tally(), told: undefined };
      standing = { key, cluster, kind, namespace, name, generation: 0n, ...nothing };
      this.#objects.set(key, standing);
    }
    return standing;
  }

  #setPolicy(standing: Standing, policy: TrafficPolicy | undefined): void {
    for (const target of targetsOf(standing.policy)) {
      const policies = this.#byTarget.get(target);
      policies?.delete(standing);
      if (policies?.size === 0) this.#byTarget.delete(target);
    }
    standing.policy = policy;
    for (const target of targetsOf(policy))
      this.#byTarget.set(target, (this.#byTarget.get(target) ?? new Set()).add(standing));
  }

  #tell(state: FleetState, dirty: ReadonlySet<Standing>): StandingChanges {
    const changes = new Map<string, Map<string, Resource | undefined>>();
    for (const standing of dirty) {
      const statuses = [...standing.own, ...[...standing.hosts.values()].flat()];
      const gone = standing.policy === undefined && statuses.length === 0;
      if (gone) this.#objects.delete(standing.key);
      standing.generation = generationOf(state, standing);
      const reach = standing.policy === undefined ? undefined : standing.tally.reach;
      const next = gone ? undefined : encodeStanding(standing, standing.generation, statuses, reach);
      if (next?.digest === standing.told?.digest) continue;
      standing.told = next;
      const ofCluster = changes.get(standing.cluster) ?? new Map<string, Resource | undefined>();
      changes.set(standing.cluster, ofCluster.set(standingName(standing), next));
    }
    return changes;
  }
}

function keyOf(cluster: string, name: ObjectName): string {
  return `${cluster}/${standingName(name)}`;
}

function* allPolicies(state: FleetState): Iterable<TrafficPolicy> {
  yield* state.trafficPolicies.values();
  for (const name of state.members.keys()) yield* state.clusters.get(name)?.policies.values() ?? [];
}

function currentPolicy(state: FleetState, standing: Standing): TrafficPolicy | undefined {
  if (standing.cluster === HUB) return state.trafficPolicies.get(`${standing.namespace}/${standing.name}`);
  if (!state.members.has(standing.cluster)) return undefined;
  return state.clusters.get(standing.cluster)?.policies.get(standingName(standing));
}

function generationOf(state: FleetState, standing: Standing): bigint {
  const { cluster, kind, namespace, name } = standing;
  if (kind !== 'Ingress') return currentPolicy(state, standing)?.generation ?? 0n;
  return state.clusters.get(cluster)?.ingresses.get(`${namespace}/${name}`)?.value.generation ?? 0n;
}

function targetsOf(policy: TrafficPolicy | undefined): string[] {
  return (policy?.value.targetRefs ?? []).flatMap(({ kind, name }) => {
    if (kind === 'Ingress') return `ingress ${policy?.namespace ?? ''}/${name}`;
    return kind === 'Route' ? `host ${routeTarget(name).host}` : [];
  });
}

function sameStatuses(a: readonly ObjectStatus[], b: readonly ObjectStatus[]): boolean {
  return a.length === b.length && JSON.stringify(a) === JSON.stringify(b);
}
