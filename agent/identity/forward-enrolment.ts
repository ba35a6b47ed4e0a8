import { HeadgateError } from '../../lib/errors.ts';
import type { RpcConnection, RpcServices } from '../../lib/rpc/index.ts';

/**
 * Enrolment as a cluster agent offers it to node agents apart: everything goes to the hub as it came, and the
 * hub decides. A node's nonce is of the agent's own connection to the hub.
 *
 * @param hub the connection that stands; undefined while the hub is away.
 */
export function forwardEnrolment(hub: () => RpcConnection | undefined): Pick<RpcServices, 'enrol' | 'nonce' | 'renew'> {
  const connected = (): RpcConnection => {
    const connection = hub();
    if (connection !== undefined) return connection;
    throw new HeadgateError('HG3001', 'the cluster agent has no connection to the hub now');
  };
  return {
    enrol: async (request) => connected().enrol(request),
    nonce: async () => connected().nonce(),
    renew: async (request) => connected().renew(request),
  };
}
