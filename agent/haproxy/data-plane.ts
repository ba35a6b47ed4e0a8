import type { Inventory, ResourceDelta, ResourceKey } from '../../lib/sync/index.ts';

/** host:port as flags give it; port 0 asks for a free one. */
export interface Listeners {
  readonly http: string;
  readonly https: string;
  readonly gateway: string;
  readonly proxyProtocol: boolean;
  readonly tlsPassthrough: boolean;
  /** Whose word on the client is believed, `ADDRESS/PREFIX`; nobody's where undefined. */
  readonly trustedHops?: readonly string[];
}

/** PEM. The gateway link's own CA and leaf; the leaf's CN and DNS SAN are <cluster>.gateway.headgate. */
export interface GatewayCredentials {
  readonly certificate: string;
  readonly privateKey: string;
  readonly ca: string;
}

export interface DataPlaneOptions {
  /** Own cluster's id. */
  readonly cluster: string;
  readonly node: string;
  /** Folder that HAProxy's files and sockets live in; ours alone. */
  readonly folder: string;
  readonly haproxy: string;
  /**
   * Somebody else starts HAProxy in the folder and ends it, for example the container beside this one, which may have
   * nothing but the folder in common with this process; not so where undefined.
   */
  readonly external?: boolean;
  readonly listeners: Listeners;
  /** What else of the agent listens here, `host:port` by name: like its own listeners it is no endpoint. */
  readonly agentListeners?: ReadonlyMap<string, string>;
  readonly gateway: GatewayCredentials;
  /** Spare backends of the default profile; 128 or more. */
  readonly spares: number;
}

/** A node's word on one resource version. */
export type ResourceVerdict =
  | { readonly key: ResourceKey; readonly digest: string; readonly programmed: true }
  | {
      readonly key: ResourceKey;
      readonly digest: string;
      readonly programmed: false;
      readonly code: string;
      readonly message: string;
      /** Path in the object that the resource comes from, and how to mend it; where known. */
      readonly field: string | undefined;
      readonly remedy: string | undefined;
      /** HAProxy's own words, where it refused. */
      readonly haproxy: string | undefined;
      /** Worth trying again without a new digest. */
      readonly transient: boolean;
    };

/** Endpoints of a backend resource that HAProxy has taken out, by its checks or by requests that failed. */
export interface EndpointsOut {
  /** <namespace>/<service>/<port> */
  readonly backend: string;
  /** Endpoints that get requests, and those that there are. */
  readonly live: number;
  readonly total: number;
}

export interface DataPlaneStatus {
  /** HAProxy serves a valid configuration. */
  readonly ready: boolean;
  /** Why not, or what is being mended; empty when all is well. */
  readonly reason: string;
  /** What went wrong lately and was mended, for example a crash; empty when nothing did. */
  readonly note: string;
  /** Its files lack a change because the last write failed. */
  readonly filesBehind: boolean;
  readonly version: string;
  readonly pid: number | undefined;
  /** Addresses really listened on, host:port. */
  readonly http: string;
  readonly https: string;
  readonly gateway: string;
  /** Reloads since this agent started, by reason. */
  readonly reloads: ReadonlyMap<string, number>;
  readonly sparesLeft: number;
  readonly commands: { readonly ok: number; readonly failed: number };
  /** Workers that a reload replaced and that still end their connections, and how long ago the first was. */
  readonly oldWorkers: { readonly count: number; readonly oldestMs: number };
}

/** Drives one HAProxy. Files first, then runtime commands, then read-back. */
export interface DataPlane extends AsyncDisposable {
  /** Brings HAProxy to `desired`: starts it, or adopts the one that runs. Resolves when its listeners serve. */
  start(desired: Inventory): Promise<readonly ResourceVerdict[]>;
  /**
   * Brings a delta live; deltas are applied one after another. A resource that fails is undone and rejected
   * by name, its last good version keeps serving and the others go live.
   */
  apply(delta: ResourceDelta): Promise<readonly ResourceVerdict[]>;
  /** New gateway leaf or CA, at runtime. */
  setGateway(credentials: GatewayCredentials): Promise<void>;
  status(): DataPlaneStatus;
  /** HAProxy's own metrics in Prometheus text, spare slots' labels translated to namespace, service, port. */
  metrics(): Promise<string>;
  /** HAProxy is about to be ended by whoever runs it: nothing reloads it any more, which would have it stay. */
  hold(): void;
  /** Ends HAProxy; without it, disposing leaves HAProxy serving. */
  stop(): Promise<void>;
}
