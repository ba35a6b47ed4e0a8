import { formatAddress } from '../../lib/config/address.ts';
import type { DataPlaneOptions, GatewayCredentials } from '../haproxy/data-plane.ts';
import type { AgentOptions } from '../options.ts';

/** Spare backends of the default profile. */
const SPARES = 128;

/** The flags that decide what HAProxy's files hold. */
export type NodeFlags = Pick<
  AgentOptions,
  | 'cluster'
  | 'node'
  | 'haproxy'
  | 'listenHttp'
  | 'listenHttps'
  | 'listenGateway'
  | 'proxyProtocol'
  | 'tlsPassthrough'
  | 'trustedHops'
>;

/** @param folder HAProxy's */
export function dataPlaneOptions(
  flags: NodeFlags,
  folder: string,
  external: boolean,
  gateway: GatewayCredentials,
): DataPlaneOptions {
  return {
    cluster: flags.cluster,
    node: flags.node,
    folder,
    haproxy: flags.haproxy,
    external,
    listeners: {
      http: formatAddress(flags.listenHttp),
      https: formatAddress(flags.listenHttps),
      gateway: formatAddress(flags.listenGateway),
      proxyProtocol: flags.proxyProtocol,
      tlsPassthrough: flags.tlsPassthrough,
      trustedHops: flags.trustedHops,
    },
    gateway,
    spares: SPARES,
  };
}
