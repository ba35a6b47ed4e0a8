/**
 * Requests and responses of the hub's API. The CLI imports these as types; field names are what
 * `headgate get -o json` shows, so they are contract.
 */

/** Ascending rights: a role may all that those before it may. */
export const roles = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Body of every answer that is not 2xx. */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly object?: string;
  readonly field?: string;
  /** `file:line` */
  readonly place?: string;
  readonly remedy?: string;
}

export type Item = Readonly<Record<string, unknown>>;

export interface ListResponse<T = Item> {
  readonly items: readonly T[];
  /** The store's revision that the list shows. */
  readonly revision: string;
}

export const itemKinds = [
  'routes',
  'hosts',
  'ingresses',
  'clusters',
  'nodes',
  'policies',
  'certificates',
  'events',
] as const;
export type ItemKind = (typeof itemKinds)[number];

export interface KindListResponse extends ListResponse {
  readonly kind: ItemKind;
}

export interface ClusterItem {
  readonly name: string;
  readonly connected: boolean;
  /** Nodes known, and those whose HAProxy serves a valid configuration. */
  readonly nodes: number;
  readonly nodes_ready: number;
  /** Seconds since its agent was last heard; null when never since this hub started. */
  readonly age_s: number | null;
  readonly cordoned: boolean;
  /** Its reports are older than allowed, in seconds; 0 when fresh. */
  readonly stale_s: number;
  readonly routes: number;
  readonly ingresses: number;
  /** Of its objects, resources that nodes reject, and backends of which HAProxy has taken endpoints out. */
  readonly problems: number;
  /** Revision that its agent has acknowledged; null when not connected. */
  readonly revision: string | null;
  /** Lowest revision that is live on a node; null when it has none. */
  readonly live_revision: string | null;
  readonly uid: string | null;
  /** What its agent enrols by: a join token, or whose ServiceAccount tokens. */
  readonly enrolment: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly version: string | null;
}

export interface NodeItem {
  readonly name: string;
  readonly cluster: string;
  readonly ready: boolean;
  readonly revision: string;
  readonly haproxy: string;
  readonly agent: string;
  readonly gateway: string;
}

export interface RouteItem {
  readonly host: string;
  readonly path: string;
  readonly path_type: 'Exact' | 'Prefix' | 'Regex';
  readonly id: string;
  readonly namespace: string;
  /**
   * Clusters that contribute. `ready` is what Kubernetes says of the endpoints, `live` HAProxy at the node where fewest
   * get requests.
   */
  readonly clusters: readonly {
    readonly name: string;
    readonly ready: number;
    readonly live: number;
    readonly backend: string;
  }[];
  /** Per entry cluster the shares its agent acts on, of 1. */
  readonly shares: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Rejected resources that it needs, and contributions of which endpoints are out. */
  readonly problems: number;
  readonly rejections: readonly RejectionItem[];
}

/** A node's word on a resource that it does not take; the last good version of that stays in force there. */
export interface RejectionItem {
  readonly cluster: string;
  readonly node: string;
  /** `<type>/<name>` */
  readonly resource: string;
  readonly code: string;
  readonly field: string;
  readonly message: string;
  readonly remedy: string;
  /** HAProxy's own words, where it refused. */
  readonly haproxy: string;
  /** It is tried again by itself. */
  readonly transient: boolean;
}

export interface HostItem {
  readonly name: string;
  readonly namespace: string;
  readonly routes: number;
  /** Clusters that serve it. */
  readonly clusters: readonly string[];
  readonly conflicts: number;
  /** RFC 3339, when its last contribution went; null while one stands. */
  readonly released: string | null;
}

export interface IngressItem {
  readonly cluster: string;
  readonly namespace: string;
  readonly name: string;
  readonly hosts: readonly string[];
  readonly rules: number;
  readonly generation: string;
  readonly accepted: boolean;
  readonly reason: string;
  readonly held_by: string | null;
  /** Of the object, rejected resources that it needs, and its backends of which endpoints are out. */
  readonly problems: number;
  readonly rejections: readonly RejectionItem[];
}

export interface PolicyItem {
  readonly kind: string;
  readonly namespace: string | null;
  readonly name: string;
  /** The member cluster it was written in; null at the hub. */
  readonly cluster: string | null;
  /** Null, as are revision and spec, for one that was refused and of which no good version is known. */
  readonly generation: string | null;
  readonly revision: string | null;
  readonly accepted: boolean;
  readonly reason: string;
  readonly message: string;
  readonly field: string;
  readonly remedy: string;
  readonly spec: unknown;
}

export interface CertificateItem {
  readonly cluster: string;
  readonly namespace: string;
  readonly name: string;
  readonly dns_names: readonly string[];
  /** RFC 3339. */
  readonly not_before: string;
  readonly not_after: string;
  readonly key_type: string;
  readonly fingerprint: string;
}

/** A problem or a condition that is not Accepted, as it stands now. */
export interface EventItem {
  readonly severity: 'Error' | 'Warning';
  readonly code: string;
  /** Empty at the hub. */
  readonly cluster: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly reason: string;
  readonly field: string;
  readonly message: string;
  readonly remedy: string;
  /** File and line, where known. */
  readonly place: string;
}

/** What one request would get that enters at one cluster. */
export interface ExplainItem {
  readonly url: string;
  readonly host: string;
  readonly path: string;
  /** The path in normal form. */
  readonly normal_path: string;
  /** The cluster where the request enters. */
  readonly entry: string;
  readonly outcome: 'served' | '404' | '503';
  readonly summary: string;
  readonly route: {
    readonly id: string;
    /** The host whose routes were searched: exact, wildcard or "*". */
    readonly host: string;
    readonly path_type: 'Exact' | 'Prefix' | 'Regex';
    readonly path: string;
    /** Namespace that owns the host; null for "*". */
    readonly owner: string | null;
    /** Clusters that accept the host. */
    readonly recipients: readonly string[];
  } | null;
  /** Descending by share, of 100,000. */
  readonly clusters: readonly {
    readonly cluster: string;
    readonly share: number;
    readonly why: string;
    readonly backend: string;
    /** As Kubernetes says, and as HAProxy does where fewest endpoints get requests. */
    readonly ready: number;
    readonly live: number;
  }[];
  /** `agent`: what the entry's agent says it does; `computed`: what the hub computes for it; null without a route. */
  readonly split_source: 'agent' | 'computed' | null;
  readonly fields: readonly {
    readonly field: string;
    readonly value: unknown;
    readonly winner: string;
    readonly losers: readonly string[];
  }[];
  /** Tried in this order when the drawn cluster has no live server. */
  readonly fallbacks: readonly string[];
  /** Where returning clients may go; empty without affinity. */
  readonly sticky: readonly string[];
  readonly tier: number;
  readonly reasons: readonly string[];
}

export interface ManifestsRequest {
  /** YAML or JSON, several documents. */
  readonly manifests: string;
  /** What to call the text in errors: a file name. */
  readonly source?: string | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface ApplyResult {
  /** `Kind namespace/name`. */
  readonly object: string;
  readonly action: 'created' | 'configured' | 'unchanged' | 'deleted' | 'failed';
  /** Of the write; null when nothing was written. */
  readonly revision: string | null;
  readonly error: ErrorBody | null;
  /** Manifests before and after; null where there is none. */
  readonly before: unknown;
  readonly after: unknown;
}

export interface ApplyResponse {
  readonly results: readonly ApplyResult[];
}

export interface AddClusterRequest {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly role?: 'cluster' | 'node' | undefined;
}

export interface AddClusterResponse {
  readonly name: string;
  readonly role: 'cluster' | 'node';
  readonly token: string;
  /** RFC 3339. */
  readonly expires: string;
  readonly revision: string;
}

/** Pins who vouches for a cluster's agent, in place of a join token. */
export interface PinClusterRequest {
  readonly issuer: string;
  /** RFC 7517; public keys. */
  readonly jwks: { readonly keys: readonly unknown[] };
  /** `NAMESPACE/NAME`; the chart's own when absent. */
  readonly serviceAccount?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** What the agent needs; none of it is secret. */
export interface PinClusterResponse {
  readonly name: string;
  readonly issuer: string;
  readonly serviceAccount: string;
  /** That the agent's token must have. */
  readonly audience: string;
  /** For --hub-spki. */
  readonly hubSpki: string;
  readonly revision: string;
}

/** One of the two. */
export interface RevokeRequest {
  readonly node?: string | undefined;
  /** Hex. */
  readonly serial?: string | undefined;
}

export interface RemoveClusterResponse {
  readonly name: string;
  readonly revision: string;
  /** What went with it. */
  readonly ingresses: number;
  readonly routes: number;
  /** Hosts that no other cluster serves; ownership stays for the grace time. */
  readonly hosts: readonly string[];
}

export interface CordonRequest {
  readonly cordoned: boolean;
}

export interface RevisionResponse {
  readonly revision: string;
  readonly changed: boolean;
}

export interface WeightsRequest {
  readonly host: string;
  /** "/" for the whole host is a path like any other; absent: every path of the host. */
  readonly path?: string | undefined;
  readonly weights: Readonly<Record<string, number>>;
}

export interface WeightsResponse extends RevisionResponse {
  /** `TrafficPolicy namespace/name`. */
  readonly policy: string;
  readonly target: string;
  readonly action: 'created' | 'configured' | 'unchanged';
}

export interface GuardItem {
  readonly id: string;
  readonly cluster: string;
  readonly guard: string;
  readonly message: string;
  readonly holds: number;
}

export interface StatusResponse {
  readonly fleet: string;
  readonly version: string;
  readonly epoch: string;
  readonly revision: string;
  /** What needs a person, worst first. */
  readonly attention: readonly EventItem[];
  readonly attention_total: number;
  readonly guards: readonly GuardItem[];
  readonly clusters: readonly ClusterItem[];
  readonly totals: { readonly hosts: number; readonly routes: number; readonly policies: number };
}

/** Sections in the order to show; a section's rows are what `get` lists, or pairs of name and value. */
export interface DescribeResponse {
  readonly title: string;
  readonly sections: readonly DescribeSection[];
}

export interface DescribeSection {
  readonly title: string;
  readonly rows: readonly Readonly<Record<string, string | number | boolean | null>>[];
}
