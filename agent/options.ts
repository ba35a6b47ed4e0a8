import type { Address } from '../lib/config/address.ts';
import type { JoinSource } from './identity/agent-identity.ts';
import type { ObjectName } from '../lib/kubernetes/index.ts';

export type AgentRole = 'cluster' | 'node';

export type SourceOptions =
  | { readonly kind: 'directory'; readonly folder: string }
  | {
      readonly kind: 'kubernetes';
      /** Without it the cluster that the agent runs in, then that of KUBECONFIG. */
      readonly kubeconfig: string | undefined;
      /** Those that are watched; every one when empty. */
      readonly namespaces: readonly string[];
    };

export type PublishOptions =
  /** What the Service's own status says. */
  | { readonly kind: 'service'; readonly service: ObjectName }
  /** IP addresses and host names, as given. */
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] }
  | { readonly kind: 'nodes' };

/** The agent's flags, parsed once into a total type. */
export interface AgentOptions {
  /** In the order to try; for a node agent apart its cluster agent. */
  readonly hubs: readonly Address[];
  readonly cluster: string;
  readonly node: string;
  readonly roles: ReadonlySet<AgentRole>;
  /** Undefined where the cluster role runs elsewhere. */
  readonly source: SourceOptions | undefined;
  /** Lease by which replicas of the cluster role elect the one that writes; undefined where there is one only. */
  readonly lease: ObjectName | undefined;
  /** Addresses for the status of Ingresses; undefined where the source is no API server. */
  readonly publish: PublishOptions | undefined;
  /** Secret, `<namespace>/<name>`, for clients that ask for no name of the fleet's; of the cluster role. */
  readonly defaultCertificate: string | undefined;
  readonly data: string;
  /** Where a join token is, read only while there is no identity. */
  readonly join: JoinSource | undefined;
  /** `NAMESPACE/NAME` of the ServiceAccount that node agents apart enrol with; of the cluster role. */
  readonly nodeServiceAccount: string | undefined;
  readonly listenHttp: Address;
  readonly listenHttps: Address;
  readonly listenGateway: Address;
  /** Where other clusters reach the gateway listener; the listener's own address when undefined. */
  readonly advertise: Address | undefined;
  /** Where node agents apart connect; undefined when there are none. */
  readonly listenNodes: Address | undefined;
  readonly proxyProtocol: boolean;
  readonly tlsPassthrough: boolean;
  /** `ADDRESS/PREFIX` of proxies whose word on the client is believed. */
  readonly trustedHops: readonly string[];
  readonly keyFile: string | undefined;
  readonly ops: Address;
  /** Path, or a name to look up in PATH. */
  readonly haproxy: string;
  /** Somebody else starts HAProxy in the data folder's `haproxy`, and ends it. */
  readonly haproxyExternal: boolean;
  /** Seconds for which the agent stays when it is asked to end, not ready, while such a HAProxy drains. */
  readonly drain: number;
}
