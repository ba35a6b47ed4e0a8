import { aborted } from '../../lib/aborted.ts';
import { formatAddress } from '../../lib/config/address.ts';
import type { RpcConnection } from '../../lib/rpc/index.ts';
import type { Speaker } from '../../lib/sync/index.ts';
import type { AgentContext } from '../context.ts';
import type { NodeAttestor } from '../identity/node-enrolment.ts';
import { tokenReviewAttestor } from '../identity/token-review.ts';
import type { Ledger } from '../ledger/types.ts';
import { runUplink } from '../uplink.ts';
import type { ClusterAgent } from './cluster-agent.ts';
import type { SeenObjects } from './kubernetes/status/seen-objects.ts';
import { writeObjects } from './kubernetes/write-objects.ts';
import { serveNodes } from './serve-nodes.ts';

export interface Mouthpiece {
  readonly agent: ClusterAgent;
  readonly ledger: Ledger;
  readonly seen: SeenObjects;
  readonly speaker: Speaker;
  /** Whether this replica may speak still; always where it is the only one. */
  readonly isHeld: () => boolean;
}

/**
 * What one replica alone does for its cluster until the context's signal aborts: it speaks with the hub, writes
 * statuses and Events where there is an API server and, where asked, serves the node agents apart.
 *
 * @returns where nodes connect, once they may; undefined where none runs apart
 */
export async function speakForCluster(
  context: AgentContext,
  { agent, ledger, seen, speaker, isHeld }: Mouthpiece,
): Promise<string | undefined> {
  const { options, identity, clock, log, link, signal, keep } = context;
  let hub: RpcConnection | undefined;
  // An agent that ends before it has listed everything has nothing to say.
  const listed = Promise.race([agent.listed, aborted(signal)]);
  const reportAndConfigure = async (): Promise<void> => {
    await listed;
    await runUplink({
      addresses: options.hubs.map(formatAddress),
      tls: () => identity.current().control,
      reports: agent.up,
      sink: agent.hubSink(),
      expect: (peer) => peer.kind === 'hub',
      speaker,
      onConnected: (connected) => {
        link.connected(connected);
        agent.setHubConnected(connected);
      },
      onConnection: (connection) => {
        hub = connection;
      },
      clock,
      log,
      signal,
    });
  };
  keep(reportAndConfigure());
  const { kubernetes: client } = context;
  if (client !== undefined && options.publish !== undefined) {
    const { publish, node: instance } = options;
    keep(
      listed.then(
        async () => await writeObjects({ client, agent, seen, publish, instance, isHeld, clock, log }, signal),
      ),
    );
  }
  if (options.listenNodes === undefined) return undefined;

  const server = await serveNodes(context, {
    address: options.listenNodes,
    agent,
    ledger,
    hub: () => hub,
    attestor: attestorOf(context),
    isHeld,
  });
  return server.address;
}

/** Nodes may prove themselves by the cluster's own tokens where there is an API server that knows them. */
function attestorOf({ kubernetes, options, signal }: AgentContext): NodeAttestor | undefined {
  if (kubernetes === undefined || options.nodeServiceAccount === undefined) return undefined;
  return tokenReviewAttestor(kubernetes, options.nodeServiceAccount, signal);
}
