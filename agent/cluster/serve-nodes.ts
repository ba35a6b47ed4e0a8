import { formatAddress, type Address } from '../../lib/config/address.ts';
import { serveRpc, type RpcConnection, type RpcServer } from '../../lib/rpc/index.ts';
import { Settings } from '../../proto/gen/headgate/v1/configured.ts';
import type { AgentContext } from '../context.ts';
import type { AgentCredentials } from '../identity/identity-files.ts';
import { nodeEnrolment, type NodeAttestor } from '../identity/node-enrolment.ts';
import { NodeIssuer } from '../identity/node-issuer.ts';
import { NodeRevocations } from '../identity/node-revocations.ts';
import type { Ledger } from '../ledger/types.ts';
import type { ClusterAgent } from './cluster-agent.ts';
import { serveConfigure, serveReport } from './node-server.ts';

export interface NodeDoorOptions {
  readonly address: Address;
  readonly agent: ClusterAgent;
  /** What the hub said last: who is revoked is known from the first connection on. */
  readonly ledger: Ledger;
  /** The connection to the hub that stands, if one does. */
  readonly hub: () => RpcConnection | undefined;
  readonly attestor: NodeAttestor | undefined;
  /** Whether this replica may speak for the cluster still: nodes that come to one that may not go to the other. */
  readonly isHeld: () => boolean;
}

/** Serves the node agents of the cluster that run apart: enrolment, reports and configuration. */
export async function serveNodes(
  {
    identity,
    clock,
    log,
    signal,
    resources,
  }: Pick<AgentContext, 'identity' | 'clock' | 'log' | 'signal' | 'resources'>,
  { address, agent, ledger, hub, attestor, isHeld }: NodeDoorOptions,
): Promise<RpcServer> {
  const common = { clock, log, signal };
  const { cluster, fleet } = identity.current().identity;
  const issuer = new NodeIssuer({ credentials: () => identity.current(), heard: () => ledger.held(), clock });
  const revocations = new NodeRevocations();
  const readSettings = (): void => {
    const settings = ledger.inventory.get('settings', 'cluster');
    if (settings !== undefined) revocations.apply(Settings.decode(settings.body));
  };
  readSettings();
  const server = resources.use(
    await serveRpc({
      address: formatAddress(address),
      role: 'agent',
      tls: nodeServerTls(identity.current()),
      services: {
        report: async ({ identity: peer }, pipe) => {
          if (peer.kind === 'node') await serveReport(agent, peer.node, pipe, common);
        },
        configure: async (_peer, pipe) => await serveConfigure(agent, pipe, common),
        ...nodeEnrolment({ cluster, fleet, hub, issuer, revocations, attestor, clock, log }),
      },
      log,
      clock,
      signal,
      admit: (peer, serial) =>
        isHeld() && peer.kind === 'node' && peer.cluster === cluster && !revocations.isRevoked(peer, serial),
    }),
  );
  resources.use(
    agent.down.subscribe({
      changed: (keys) => {
        for (const { type } of keys) {
          if (type !== 'settings') continue;
          readSettings();
          const closed = server.closeWhere((peer, serial) => revocations.isRevoked(peer, serial));
          if (closed > 0) log.info('closed connections of revoked nodes', { closed });
        }
      },
    }),
  );
  resources.defer(identity.onChange((credentials) => server.setTls(nodeServerTls(credentials))));
  return server;
}

/** Nodes come with a certificate of the hub's, or of a CA of this cluster's: the root above those is trusted here only. */
export function nodeServerTls({ control, issuers }: AgentCredentials): AgentCredentials['control'] {
  return issuers === undefined ? control : { ...issuers.server, ca: `${control.ca.trimEnd()}\n${issuers.node.ca}` };
}
