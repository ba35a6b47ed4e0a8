import { type Resource, resource } from '../../lib/sync/index.ts';
import { Peer, Settings } from '../../proto/gen/headgate/v1/configured.ts';
import type { FleetState } from '../fleet/state.ts';
import { compare } from '../../lib/compare.ts';

/** peer/<cluster> for every member, ascending; a cluster gets its own too. */
export function compilePeers(state: FleetState): Map<string, Resource> {
  const peers = new Map<string, Resource>();
  for (const cluster of [...state.members.keys()].sort(compare)) {
    const nodes = state.clusters.get(cluster)?.nodes.values() ?? [];
    const addresses = new Set<string>();
    for (const { gatewayAddress } of nodes) if (gatewayAddress !== '') addresses.add(gatewayAddress);
    const message: Peer = {
      cluster,
      addresses: [...addresses].sort(compare),
      serverName: `${cluster}.gateway.headgate`,
      cordoned: state.clusterObjects.get(cluster)?.value.cordoned ?? false,
      staleMs: BigInt(state.staleMs.get(cluster) ?? 0),
    };
    peers.set(cluster, resource('peer', cluster, Peer.encode(message).finish()));
  }
  return peers;
}

/** settings/cluster for one member. */
export function compileSettings(state: FleetState, cluster: string): Resource {
  return resource('settings', 'cluster', Settings.encode({ cluster, fleet: state.fleetName }).finish());
}
