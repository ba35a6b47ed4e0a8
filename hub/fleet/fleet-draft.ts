import { claimCovers } from '../../lib/domain/host-name.ts';
import { unreachable } from '../../lib/errors.ts';
import type { TrafficPolicySpec } from '../../lib/policy/schemas.ts';
import {
  BackendHealth,
  CertificateInfo,
  ClusterInfo,
  NodeInfo,
  Problem,
  Service,
  Verdict,
} from '../../proto/gen/headgate/v1/reported.ts';
import { HostSplit } from '../../proto/gen/headgate/v1/configured.ts';
import { decodeRevocation } from '../certificates/revocation-record.ts';
import { committedIngress, decodeStoredReport } from '../ingest/stored-report.ts';
import type { Change, Entry } from '../store/store.ts';
import type { FleetChange, PolicyStep } from './change.ts';
import { ClusterDraft, edit } from './cluster-draft.ts';
import { type FleetIndex, hostsOf, IndexDraft, isFleetLevel } from './fleet-index.ts';
import type { HeldReports } from './held-reports.ts';
import { routeTarget } from './route-target.ts';
import type { MapDraft } from './sharded-map.ts';
import type { ClusterState, CommittedIngress, CommittedPolicy, FleetState } from './state.ts';
import { corrupt, decodeCluster, decodeGuard, decodeOwnership, decodePolicy } from './stored-values.ts';

export interface FleetVersion {
  readonly state: FleetState;
  readonly index: FleetIndex;
}

type Maps = {
  [
    F in 'members' | 'owners' | 'trafficPolicies' | 'hostClaims' | 'clusterObjects' | 'guards' | 'revocations'
  ]: MapDraft<ValueOf<FleetState[F]>>;
};
type ValueOf<M> = M extends ReadonlyMap<string, infer V> ? V : never;

/**
 * One batch of the store's changes applied to a version of the fleet, with the hosts they touch. A value that
 * cannot be used counts as absent and is named to `onCorrupt`; it never stops the others.
 */
export class FleetDraft {
  readonly #base: FleetVersion | undefined;
  readonly #held: HeldReports;
  readonly #onCorrupt: (error: unknown) => void;
  readonly #index: IndexDraft;
  readonly #maps: Maps;
  readonly #clusters: MapDraft<ClusterState>;
  readonly #drafts = new Map<string, ClusterDraft>();
  readonly #touched = new Set<string>();
  readonly #policies: PolicyStep[] = [];
  readonly #ingresses = new Set<string>();
  #touchAll: boolean;
  #clustersTouched: boolean;
  #staleThresholdsTouched = false;

  constructor(base: FleetVersion | undefined, held: HeldReports, onCorrupt: (error: unknown) => void) {
    this.#base = base;
    this.#held = held;
    this.#onCorrupt = onCorrupt;
    this.#index = new IndexDraft(base?.index);
    const state = base?.state;
    this.#maps = {
      members: edit(state?.members),
      owners: edit(state?.owners),
      trafficPolicies: edit(state?.trafficPolicies),
      hostClaims: edit(state?.hostClaims),
      clusterObjects: edit(state?.clusterObjects),
      guards: edit(state?.guards),
      revocations: edit(state?.revocations),
    };
    this.#clusters = edit(state?.clusters);
    this.#touchAll = base === undefined;
    this.#clustersTouched = base === undefined;
  }

  /** Whether a policy's onStale came or went, so that staleness must be rounded anew. */
  get staleThresholdsTouched(): boolean {
    return this.#staleThresholdsTouched;
  }

  apply(change: Change): void {
    const key = change.kind === 'put' ? change.entry.key : change.key;
    const entry = change.kind === 'put' ? change.entry : undefined;
    const [family = '', ...parts] = key.split('/');
    const [first = '', second = ''] = parts;
    switch (family) {
      case 'report': {
        const shown = this.#held.report(parts.join('/'), entry);
        return this.#report(parts, shown?.entry, shown?.guard);
      }
      case 'held': {
        const shown = this.#held.held(first, parts.slice(1).join('/'), entry);
        return shown === 'unchanged' ? undefined : this.#report(parts.slice(1), shown?.entry, shown?.guard);
      }
      case 'owner':
        this.#put(this.#maps.owners, parts.join('/'), entry, decodeOwnership);
        this.#touched.add(parts.join('/'));
        return undefined;
      case 'cluster':
        this.#put(this.#maps.members, first, entry, decodeCluster);
        // Selectors, Everywhere and every contribution depend on who is a member.
        this.#touchAll = true;
        this.#clustersTouched = true;
        return undefined;
      case 'guard':
        return this.#put(this.#maps.guards, first, entry, decodeGuard);
      case 'revoked':
        this.#clustersTouched = true;
        return this.#put(this.#maps.revocations, parts.join('/'), entry, decodeRevocation);
      case 'policy':
        return this.#policy(first, second, parts.slice(2).join('/'), entry);
      default:
        return undefined;
    }
  }

  #policy(kind: string, namespace: string, name: string, entry: Entry | undefined): void {
    switch (kind) {
      case 'TrafficPolicy': {
        const key = `${namespace}/${name}`;
        const previous = this.#maps.trafficPolicies.get(key);
        this.#put(this.#maps.trafficPolicies, key, entry, (e) => decodePolicy(kind, e.value, e, undefined));
        return this.#trafficPolicy(previous, this.#maps.trafficPolicies.get(key));
      }
      case 'HostClaim': {
        const previous = this.#maps.hostClaims.get(name);
        this.#put(this.#maps.hostClaims, name, entry, (e) => decodePolicy(kind, e.value, e, undefined));
        const next = this.#maps.hostClaims.get(name);
        this.#index.hostClaim(previous, next);
        const patterns = [...(previous?.value.hosts ?? []), ...(next?.value.hosts ?? [])];
        for (const host of this.#index.hosts())
          if (patterns.some((pattern) => claimCovers(pattern, host))) this.#touched.add(host);
        return undefined;
      }
      case 'Cluster': {
        const previous = this.#maps.clusterObjects.get(name)?.value;
        this.#put(this.#maps.clusterObjects, name, entry, (e) => decodePolicy(kind, e.value, e, undefined));
        const next = this.#maps.clusterObjects.get(name)?.value;
        this.#clustersTouched = true;
        // A cordon is told by the peer alone; labels and grants are compiled into hosts.
        const compiled = (spec: typeof next) => JSON.stringify([spec?.labels ?? {}, spec?.grants]);
        if (compiled(previous) !== compiled(next)) this.#touchAll = true;
        return undefined;
      }
      default:
        return undefined;
    }
  }

  #trafficPolicy(
    previous: CommittedPolicy<TrafficPolicySpec> | undefined,
    next: CommittedPolicy<TrafficPolicySpec> | undefined,
  ): void {
    this.#index.trafficPolicy(previous, next);
    this.#policies.push({ previous, next });
    this.#staleThresholdsTouched = true;
    for (const policy of [previous, next]) {
      if (policy === undefined) continue;
      if (isFleetLevel(policy)) this.#touchAll ||= this.#governsFleet(policy.clusterScope);
      else for (const host of this.#governed(policy)) this.#touched.add(host);
    }
  }

  /** Whether a cluster's policies without a target count; a change of its grant touches everything by itself. */
  #governsFleet(cluster: string | undefined): boolean {
    return cluster === undefined || this.#maps.clusterObjects.get(cluster)?.value.grants?.policies === 'Fleet';
  }

  /**
   * Hosts whose result a policy may change: those of its targets. A change of one route's weights must not compile its
   * whole namespace.
   */
  *#governed({ namespace, value: { targetRefs } }: CommittedPolicy<TrafficPolicySpec>): Iterable<string> {
    for (const { kind, name } of targetRefs) {
      switch (kind) {
        case 'Namespace':
          yield* this.#index.hostsOfNamespace(namespace);
          break;
        case 'Ingress':
          yield* this.#index.hostsOfIngress(namespace, name);
          break;
        case 'Route':
          yield routeTarget(name).host;
          break;
        default:
          unreachable(kind);
      }
    }
  }

  /** @param parts cluster, type and the parts of the name. */
  #report(parts: readonly string[], entry: Entry | undefined, guard: string | undefined): void {
    const [cluster = '', type = '', ...rest] = parts;
    const name = rest.join('/');
    const draft = this.#cluster(cluster);
    const stored = (e: Entry) => decodeStoredReport(type, name, e);
    switch (type) {
      case 'ingress': {
        const previous = draft.maps.ingresses.get(name);
        this.#put(draft.maps.ingresses, name, entry, (e) => ingressOf(e, name, committedIngress(stored(e), guard)));
        return this.#ingress(cluster, previous, draft.maps.ingresses.get(name));
      }
      case 'service':
        this.#put(draft.maps.services, name, entry, (e) => Service.decode(stored(e).resource.body));
        for (const host of this.#index.hostsOfService(`${cluster}/${name}`)) this.#touched.add(host);
        return undefined;
      case 'policy': {
        const previous = draft.maps.policies.get(name);
        this.#put(draft.maps.policies, name, entry, (e) => {
          const report = stored(e);
          const committed = { key: e.key, ...revisions(report) };
          const policy = decodePolicy('TrafficPolicy', report.resource.body, committed, cluster);
          return called(e, name, `${policy.kind}/${policy.namespace}/${policy.name}`, policy);
        });
        return this.#trafficPolicy(previous, draft.maps.policies.get(name));
      }
      case 'node': {
        const previous = draft.maps.nodes.get(name);
        this.#put(draft.maps.nodes, name, entry, (e) => NodeInfo.decode(stored(e).resource.body));
        const now = draft.maps.nodes.get(name);
        const moved = previous?.gatewayAddress !== now?.gatewayAddress || previous?.ready !== now?.ready;
        if (moved) this.#clustersTouched = true;
        return undefined;
      }
      case 'certificate':
        return this.#put(draft.maps.certificates, name, entry, (e) => CertificateInfo.decode(stored(e).resource.body));
      case 'problem':
        return this.#put(draft.maps.problems, name, entry, (e) => Problem.decode(stored(e).resource.body));
      case 'verdict':
        return this.#put(draft.maps.verdicts, name, entry, (e) => Verdict.decode(stored(e).resource.body));
      case 'health':
        return this.#put(draft.maps.health, name, entry, (e) => BackendHealth.decode(stored(e).resource.body));
      case 'split':
        return this.#put(draft.maps.splits, name, entry, (e) => HostSplit.decode(stored(e).resource.body));
      case 'cluster':
        draft.info =
          entry === undefined ? undefined : this.#decoded(entry, (e) => ClusterInfo.decode(stored(e).resource.body));
        return undefined;
      default:
        return undefined;
    }
  }

  #ingress(cluster: string, previous: CommittedIngress | undefined, next: CommittedIngress | undefined): void {
    this.#index.ingress(cluster, previous?.value, next?.value);
    const there = (previous ?? next)?.value;
    if (there !== undefined && (previous === undefined || next === undefined))
      this.#ingresses.add(`${there.namespace}/${there.name}`);
    for (const committed of [previous, next])
      if (committed !== undefined) for (const host of hostsOf(committed.value)) this.#touched.add(host);
  }

  #cluster(name: string): ClusterDraft {
    let draft = this.#drafts.get(name);
    if (draft === undefined) this.#drafts.set(name, (draft = new ClusterDraft(name, this.#clusters.get(name))));
    return draft;
  }

  #put<V>(map: MapDraft<V>, key: string, entry: Entry | undefined, decode: (entry: Entry) => V): void {
    const value = entry === undefined ? undefined : this.#decoded(entry, decode);
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  }

  #decoded<V>(entry: Entry, decode: (entry: Entry) => V): V | undefined {
    try {
      return decode(entry);
    } catch (thrown) {
      this.#onCorrupt(thrown);
      return undefined;
    }
  }

  done(revision: bigint, fixed: Pick<FleetState, 'epoch' | 'fleetName' | 'staleMs'>): Omit<FleetChange, 'previous'> {
    for (const [name, draft] of this.#drafts) {
      const next = draft.done();
      if (next === undefined) this.#clusters.delete(name);
      else this.#clusters.set(name, next);
    }
    const index = this.#index.done();
    const state: FleetState = {
      ...fixed,
      revision,
      members: this.#maps.members.done(),
      clusters: this.#clusters.done(),
      owners: this.#maps.owners.done(),
      trafficPolicies: this.#maps.trafficPolicies.done(),
      hostClaims: this.#maps.hostClaims.done(),
      clusterObjects: this.#maps.clusterObjects.done(),
      guards: this.#maps.guards.done(),
      revocations: this.#maps.revocations.done(),
    };
    const everything = this.#touchAll ? [...(this.#base?.index.hosts.keys() ?? []), ...index.hosts.keys()] : [];
    const touchedHosts = everything.length === 0 ? this.#touched : new Set([...everything, ...this.#touched]);
    return {
      state,
      index,
      touchedHosts,
      clustersTouched: this.#clustersTouched,
      everything: this.#touchAll,
      policies: this.#policies,
      ingresses: this.#ingresses,
      revision,
    };
  }
}

function revisions({ createRevision, modRevision }: { createRevision: bigint; modRevision: bigint }) {
  return { createRevision, modRevision };
}

function ingressOf(entry: Entry, name: string, ingress: CommittedIngress): CommittedIngress {
  return called(entry, name, `${ingress.value.namespace}/${ingress.value.name}`, ingress);
}

/** What a body calls itself must be what it was stored as. */
function called<T>(entry: Entry, name: string, said: string, value: T): T {
  if (said !== name) throw corrupt(entry.key, new Error(`the object calls itself '${said}'`));
  return value;
}
