import { type Problem, Severity } from '../../../proto/gen/headgate/v1/reported.ts';
import type { ObjectStatus } from '../../compile/types.ts';
import type { HubView } from '../../view.ts';
import type { EventItem } from '../types.ts';
import { byParts } from './order.ts';
import { allStatuses } from './statuses.ts';

/** Everything that is wrong now, errors first: problems that clusters report, conditions, rejections. */
export function eventItems(view: HubView): readonly EventItem[] {
  const events: EventItem[] = [];
  for (const [cluster, { problems, verdicts }] of view.state().clusters) {
    for (const problem of problems.values()) events.push(problemEvent(cluster, problem));
    for (const verdict of verdicts.values()) {
      for (const { node, code, message, haproxy } of verdict.rejections) {
        events.push({
          severity: 'Error',
          code,
          cluster,
          kind: verdict.type,
          namespace: '',
          name: verdict.name,
          reason: 'Rejected',
          field: '',
          message: `node ${node}: ${message}${haproxy === '' ? '' : ` (HAProxy: ${haproxy})`}`,
          remedy: 'the last good version stays in force',
          place: '',
        });
      }
    }
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
