import { type Resource, resource } from '../../lib/sync/index.ts';
import { Peer, type RevokedNode, Settings } from '../../proto/gen/headgate/v1/configured.ts';
import type { NodeInfo } from '../../proto/gen/headgate/v1/reported.ts';
import type { FleetState } from '../fleet/state.ts';
import { compare } from '../../lib/compare.ts';

/** peer/<cluster> for every member, ascending; a cluster gets its own too. */
export function compilePeers(state: FleetState): Map<string, Resource> {
  const peers = new Map<string, Resource>();
  for (const cluster of [...state.members.keys()].sort(compare)) {
    const message: Peer = {
      cluster,
      addresses: gatewaysOf(state.clusters.get(cluster)?.nodes.values() ?? []),
      serverName: `${cluster}.gateway.headgate`,
      cordoned: state.clusterObjects.get(cluster)?.value.cordoned ?? false,
      staleMs: BigInt(state.staleMs.get(cluster) ?? 0),
    };
    peers.set(cluster, resource('peer', cluster, Peer.encode(message).finish()));
  }
  return peers;
}

/**
 * Gateways of the nodes that are ready, ascending: one that drains says that it is not, before it stops. Where none is,
 * those of all: whether they answer the others find out for themselves.
 */
function gatewaysOf(nodes: Iterable<NodeInfo>): string[] {
  const all = [...nodes].filter(({ gatewayAddress }) => gatewayAddress !== '');
  const ready = all.filter((node) => node.ready);
  return [...new Set((ready.length > 0 ? ready : all).map(({ gatewayAddress }) => gatewayAddress))].sort(compare);
}

/** settings/cluster for one member. */
export function compileSettings(state: FleetState, cluster: string): Resource {
  const revokedNodes: RevokedNode[] = [];
  const revokedSerials: string[] = [];
  for (const [subject, { since, barred, cluster: of }] of state.revocations) {
    const [kind, first = '', node = ''] = subject.split('/');
    if (kind === 'serial' && of === cluster) revokedSerials.push(first);
    // A cluster that was removed and added again is another one: its old nodes are not its own.
    if ((kind !== 'node' && kind !== 'cluster') || first !== cluster) continue;
    revokedNodes.push({ node, epoch: since.epoch.counter, revision: since.revision, barred });
  }
  const settings: Settings = {
    cluster,
    fleet: state.fleetName,
    revokedNodes: revokedNodes.sort((a, b) => compare(a.node, b.node)),
    revokedSerials: revokedSerials.sort(compare),
  };
  return resource('settings', 'cluster', Settings.encode(settings).finish());
}
