import { VERSION } from '../../../lib/version.ts';
import type { HubView } from '../../view.ts';
import type { EventItem, GuardItem, StatusResponse } from '../types.ts';
import { clusterItems } from './cluster-items.ts';
import { eventItems } from './event-items.ts';
import { byParts } from './order.ts';
import { routeItems } from './route-items.ts';

/** Lines of "needs attention" that the answer holds; the whole is `get events`. */
const SHOWN = 20;

/** The fleet at a glance. */
export function fleetStatus(view: HubView): StatusResponse {
  const state = view.state();
  const clusters = clusterItems(view);
  const routes = routeItems(view);
  const events = eventItems(view);
  const absent = clusters
    .filter((cluster) => !cluster.connected)
    .map(({ name, uid, age_s }): EventItem => ({
      severity: 'Error',
      code: 'HG3001',
      cluster: name,
      kind: 'Cluster',
      namespace: '',
      name,
      reason: uid === null ? 'NotJoined' : 'NotConnected',
      field: '',
      message:
        uid === null
          ? 'has not joined yet'
          : `is not connected${age_s === null ? ' since this hub started' : `, last heard ${Math.round(age_s)} s ago`}`,
      remedy: uid === null ? 'start its agent with the join token' : 'see the log of its agent',
      place: '',
    }));
  // A warning is a mistake too: a policy that names no cluster does less than its author thinks.
  const attention = [...absent, ...events];
  const policies =
    state.trafficPolicies.size +
    state.hostClaims.size +
    [...state.clusters.values()].reduce((sum, cluster) => sum + cluster.policies.size, 0);
  return {
    fleet: state.fleetName,
    version: VERSION,
    epoch: state.epoch.counter.toString(),
    revision: state.revision.toString(),
    attention: attention.slice(0, SHOWN),
    attention_total: attention.length,
    guards: guardItems(view),
    clusters,
    totals: { hosts: new Set(routes.map((route) => route.host)).size, routes: routes.length, policies },
  };
}

export function guardItems(view: HubView): readonly GuardItem[] {
  return [...view.state().guards.values()]
    .map(({ id, cluster, guard, message, holds }) => ({ id, cluster, guard, message, holds: holds.length }))
    .sort(
      byParts(
        (item) => item.cluster,
        (item) => item.id,
      ),
    );
}
