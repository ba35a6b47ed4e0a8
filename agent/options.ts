import type { Address } from '../lib/config/address.ts';

export type AgentRole = 'cluster' | 'node';

/** The agent's flags, parsed once into a total type. */
export interface AgentOptions {
  /** In the order to try; for a node agent apart its cluster agent. */
  readonly hubs: readonly Address[];
  readonly cluster: string;
  readonly node: string;
  readonly roles: ReadonlySet<AgentRole>;
  /** Undefined where the cluster role runs elsewhere. */
  readonly source: { readonly kind: 'directory'; readonly folder: string } | undefined;
  /** Secret, `<namespace>/<name>`, for clients that ask for no name of the fleet's; of the cluster role. */
  readonly defaultCertificate: string | undefined;
  readonly data: string;
  /** Where a join token is, read only while there is no identity. */
  readonly join: { readonly file: string } | { readonly token: string } | undefined;
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
}
