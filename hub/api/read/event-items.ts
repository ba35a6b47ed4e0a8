import { type BackendHealth, type Problem, Severity } from '../../../proto/gen/headgate/v1/reported.ts';
import type { ObjectStatus } from '../../compile/types.ts';
import type { HubView } from '../../view.ts';
import type { EventItem, RejectionItem } from '../types.ts';
import { byParts } from './order.ts';
import { allStatuses } from './statuses.ts';
import { rejectionsOf, worstOf } from './troubles.ts';

/** Everything that is wrong now, errors first: problems that clusters report, conditions, rejections, endpoints out. */
export function eventItems(view: HubView): readonly EventItem[] {
  const events: EventItem[] = [];
  for (const [cluster, state] of view.state().clusters) {
    for (const problem of state.problems.values()) events.push(problemEvent(cluster, problem));
    events.push(...rejectionsOf(state, state.verdicts.keys()).map(rejectionEvent));
    for (const health of state.health.values()) events.push(healthEvent(cluster, health));
  }
  for (const status of allStatuses(view)) {
    if (status.accepted && status.reason === 'Accepted') continue;
    events.push(statusEvent(status));
  }
  return events.sort(
    byParts(
      (event) => event.severity,
      (event) => event.cluster,
      (event) => event.kind,
      (event) => event.namespace,
      (event) => event.name,
      (event) => event.code,
      (event) => event.field,
      (event) => event.message,
    ),
  );
}

function problemEvent(cluster: string, problem: Problem): EventItem {
  const { code, kind, namespace, name, field, message, remedy, place } = problem;
  const severity = problem.severity === Severity.WARNING ? 'Warning' : 'Error';
  return { severity, code, cluster, kind, namespace, name, reason: 'Problem', field, message, remedy, place };
}

function rejectionEvent({ cluster, node, resource, code, field, message, remedy, haproxy }: RejectionItem): EventItem {
  const slash = resource.indexOf('/');
  return {
    severity: 'Error',
    code,
    cluster,
    kind: resource.slice(0, slash),
    namespace: '',
    name: resource.slice(slash + 1),
    reason: 'Rejected',
    field,
    message: `node ${node}: ${message}${haproxy === '' ? '' : ` (HAProxy: ${haproxy})`}; the last good version serves`,
    remedy,
    place: '',
  };
}

/** Nodes that are named; of more there is the number. */
const NAMED = 3;

/** @param health of which some node has endpoints out */
function healthEvent(cluster: string, health: BackendHealth): EventItem {
  const { namespace, service, port, nodes, impaired } = health;
  const { live, total } = worstOf(health);
  const names = impaired.slice(0, NAMED).map(({ node }) => node);
  const more = impaired.length > NAMED ? ' and others' : '';
  const where = `at ${impaired.length} of ${Math.max(nodes, impaired.length)} nodes (${names.join(', ')}${more})`;
  return {
    severity: live === 0 ? 'Error' : 'Warning',
    code: 'HG5007',
    cluster,
    kind: 'Service',
    namespace,
    name: service,
    reason: 'EndpointsOut',
    field: `port ${port}`,
    message: `HAProxy finds ${live} of ${total} ready endpoints live ${where}`,
    remedy: 'look at the pods, the health check of the policy, and what lies between the nodes and the pods',
    place: '',
  };
}

function statusEvent(status: ObjectStatus): EventItem {
  return {
    severity: status.accepted ? 'Warning' : 'Error',
    code: status.code ?? '',
    cluster: status.cluster ?? '',
    kind: status.kind,
    namespace: status.namespace,
    name: status.name,
    reason: status.reason,
    field: status.field ?? '',
    message: status.message,
    remedy: status.remedy ?? '',
    place: '',
  };
}
