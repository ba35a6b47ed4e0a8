import type { FleetState } from '../../fleet/state.ts';
import type { HubView } from '../../view.ts';
import type { ClusterItem, NodeItem } from '../types.ts';
import { byParts } from './order.ts';

/** Every member of the fleet, ascending by name. */
export function clusterItems(view: HubView): readonly ClusterItem[] {
  const state = view.state();
  return [...state.members.keys()].map((name) => clusterItem(view, state, name)).sort(byParts((item) => item.name));
}

function clusterItem({ presence }: HubView, state: FleetState, name: string): ClusterItem {
  const cluster = state.clusters.get(name);
  const object = state.clusterObjects.get(name);
  const pin = state.members.get(name)?.pin;
  const heard = presence.heardAgoMs(name);
  const nodes = [...(cluster?.nodes.values() ?? [])];
  const live = nodes.map((node) => node.revision).sort((a, b) => (a < b ? -1 : 1))[0];
  return {
    name,
    connected: presence.connected(name),
    nodes: nodes.length,
    nodes_ready: nodes.filter((node) => node.ready).length,
    age_s: heard === undefined ? null : Math.max(0, Math.round(heard) / 1_000),
    cordoned: object?.value.cordoned ?? false,
    stale_s: (state.staleMs.get(name) ?? 0) / 1_000,
    routes: [...(cluster?.ingresses.values() ?? [])].reduce((sum, { value }) => sum + value.rules.length, 0),
    ingresses: cluster?.ingresses.size ?? 0,
    problems: cluster === undefined ? 0 : cluster.problems.size + cluster.verdicts.size + cluster.health.size,
    revision: presence.acknowledgedRevision(name)?.toString() ?? null,
    live_revision: live?.toString() ?? null,
    uid: state.members.get(name)?.uid ?? null,
    enrolment: pin === undefined ? 'join token' : `ServiceAccount ${pin.serviceAccount} of ${pin.issuer}`,
    labels: object?.value.labels ?? {},
    version: cluster?.info?.agentVersion ?? null,
  };
}

export function nodeItems(view: HubView): readonly NodeItem[] {
  const items: NodeItem[] = [];
  for (const [cluster, { nodes }] of view.state().clusters) {
    for (const node of nodes.values()) {
      items.push({
        name: node.name,
        cluster,
        ready: node.ready,
        revision: node.revision.toString(),
        haproxy: node.haproxyVersion,
        agent: node.agentVersion,
        gateway: node.gatewayAddress,
      });
    }
  }
  return items.sort(
    byParts(
      (item) => item.cluster,
      (item) => item.name,
    ),
  );
}
