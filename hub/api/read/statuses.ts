import type { ObjectStatus } from '../../compile/types.ts';
import type { HubView } from '../../view.ts';

/** Every condition that the compiled fleet gives, each once. */
export function allStatuses(view: HubView): readonly ObjectStatus[] {
  const hosts = view.hosts().flatMap((host) => view.compiled(host)?.statuses ?? []);
  const seen = new Map(
    [...view.policyStatuses(), ...hosts].map((status) => [
      `${statusKey(status)}\0${status.reason}\0${status.field ?? ''}\0${status.message}`,
      status,
    ]),
  );
  return [...seen.values()];
}

/** Per object the condition to show: one that is not accepted before one that is. */
export function worstByObject(statuses: Iterable<ObjectStatus>): ReadonlyMap<string, ObjectStatus> {
  const worst = new Map<string, ObjectStatus>();
  for (const status of statuses) {
    const known = worst.get(statusKey(status));
    if (known === undefined || rank(status) > rank(known)) worst.set(statusKey(status), status);
  }
  return worst;
}

export function statusKey(object: Pick<ObjectStatus, 'kind' | 'namespace' | 'name' | 'cluster'>): string {
  return `${object.cluster ?? ''}/${object.kind}/${object.namespace}/${object.name}`;
}

function rank(status: ObjectStatus): number {
  if (!status.accepted) return 2;
  return status.reason === 'Accepted' ? 0 : 1;
}
