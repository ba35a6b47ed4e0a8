import type { Epoch } from '../../lib/sync/index.ts';
import type { IssuerPin } from '../certificates/issuer-pin.ts';
import type { RevocationRecord } from '../certificates/revocation-record.ts';
import type { ClusterSpec, HostClaimSpec, TrafficPolicySpec } from '../../lib/policy/schemas.ts';
import type { HostSplit } from '../../proto/gen/headgate/v1/configured.ts';
import type {
  BackendHealth,
  CertificateInfo,
  ClusterInfo,
  Ingress,
  NodeInfo,
  Problem,
  Service,
  Verdict,
} from '../../proto/gen/headgate/v1/reported.ts';

/** A value as the store committed it. */
export interface Committed<T> {
  readonly value: T;
  /** Order of first commit; an edit keeps it. */
  readonly createRevision: bigint;
  readonly modRevision: bigint;
}

export interface CommittedIngress extends Committed<Ingress> {
  /**
   * Per claim (`claimKey`): the revision at which this Ingress first claimed that host and path. It decides
   * who came first.
   */
  readonly claimedAt: ReadonlyMap<string, bigint>;
  /** The guard whose confirmation would remove it; it goes on serving until then. */
  readonly heldBy: string | undefined;
}

/** A policy object, checked. `clusterScope` is the member cluster it was written in; undefined at the hub. */
export interface CommittedPolicy<Spec> extends Committed<Spec> {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly generation: bigint;
  readonly clusterScope: string | undefined;
}

/** What one cluster reports. Keys are `<namespace>/<name>` unless said otherwise. */
export interface ClusterState {
  readonly name: string;
  readonly info: ClusterInfo | undefined;
  readonly ingresses: ReadonlyMap<string, CommittedIngress>;
  readonly services: ReadonlyMap<string, Service>;
  /** By `<kind>/<namespace>/<name>`. */
  readonly policies: ReadonlyMap<string, CommittedPolicy<TrafficPolicySpec>>;
  readonly nodes: ReadonlyMap<string, NodeInfo>;
  readonly certificates: ReadonlyMap<string, CertificateInfo>;
  /** By resource name. */
  readonly problems: ReadonlyMap<string, Problem>;
  /** By `<type>/<name>`. */
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** By `<namespace>/<service>/<port>`: backends of which HAProxy has taken endpoints out. */
  readonly health: ReadonlyMap<string, BackendHealth>;
  /** By host: the splits its agent acts on. */
  readonly splits: ReadonlyMap<string, HostSplit>;
}

export interface OwnershipRecord {
  readonly host: string;
  readonly namespace: string;
  /** Unix milliseconds at which the last contribution went; undefined while one stands. */
  readonly releasedAt?: number;
}

/** Binding of a cluster's id to its UID, made at first enrolment. */
export interface ClusterRecord {
  readonly name: string;
  readonly uid: string | undefined;
  /** Who vouches for its agent; undefined where it enrols by join tokens. */
  readonly pin: IssuerPin | undefined;
}

export interface GuardRecord {
  readonly id: string;
  readonly cluster: string;
  readonly guard: 'shrink';
  /** What it holds, for people: "12 of 40 routes of eu". */
  readonly message: string;
  /** Resource keys `<type>/<name>` that are held. */
  readonly holds: readonly string[];
}

/**
 * The whole fleet as the store has it. Immutable; successive states share structure. Everything that
 * `compile` may depend on is here.
 */
export interface FleetState {
  readonly epoch: Epoch;
  readonly revision: bigint;
  readonly fleetName: string;
  /** Enrolled or added clusters, by name. */
  readonly members: ReadonlyMap<string, ClusterRecord>;
  readonly clusters: ReadonlyMap<string, ClusterState>;
  readonly owners: ReadonlyMap<string, OwnershipRecord>;
  readonly trafficPolicies: ReadonlyMap<string, CommittedPolicy<TrafficPolicySpec>>;
  readonly hostClaims: ReadonlyMap<string, CommittedPolicy<HostClaimSpec>>;
  readonly clusterObjects: ReadonlyMap<string, CommittedPolicy<ClusterSpec>>;
  readonly guards: ReadonlyMap<string, GuardRecord>;
  /** By subject: `cluster/<name>`, `node/<cluster>/<node>` or `serial/<hex>`. */
  readonly revocations: ReadonlyMap<string, RevocationRecord>;
  /** Milliseconds without a fresh report, rounded as Peer.stale_ms says; 0 when fresh. */
  readonly staleMs: ReadonlyMap<string, number>;
}

/** Key of one claim of an Ingress: host, path type and path. */
export function claimKey(host: string, pathType: number, path: string): string {
  return `${host}\0${pathType}\0${path}`;
}
