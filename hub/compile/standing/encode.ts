import { type Resource, resource } from '../../../lib/sync/index.ts';
import { ObjectStatus as Message } from '../../../proto/gen/headgate/v1/configured.ts';
import { sortStatuses } from '../status.ts';
import type { ObjectStatus } from '../types.ts';

/** Findings that travel; people read the first few, and the hub has all. */
export const MOST_FINDINGS = 32;

export interface ObjectName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** Where a policy decides something, in the whole fleet. */
export interface FleetReach {
  readonly routes: number;
  /** Clusters that serve routes which it says something of. */
  readonly attached: number;
  /** Those among them where a field is as it says. */
  readonly inForce: number;
}

/** status/<kind>/<namespace>/<name>: what keeps an object from being in force first. */
export function encodeStanding(
  { kind, namespace, name }: ObjectName,
  generation: bigint,
  statuses: readonly ObjectStatus[],
  reach: FleetReach | undefined,
): Resource {
  const sorted = sortStatuses(statuses).toSorted((a, b) => Number(a.accepted) - Number(b.accepted));
  const shown = sorted.slice(0, MOST_FINDINGS);
  const sentences = [
    ...(reach === undefined ? [] : [reachSentence(reach)]),
    ...(shown.length < sorted.length ? [`${shown.length} of ${sorted.length} findings are here, all at the hub`] : []),
  ];
  const message: Message = {
    kind,
    namespace,
    name,
    generation,
    findings: shown.map(({ accepted, reason, code, field, message: text, remedy }) => ({
      accepted,
      reason,
      code: code ?? '',
      field: field ?? '',
      message: text,
      remedy: remedy ?? '',
    })),
    fleet: sentences.join('; '),
  };
  return resource('status', standingName(message), Message.encode(message).finish());
}

export function standingName({ kind, namespace, name }: ObjectName): string {
  return `${kind}/${namespace}/${name}`;
}

function reachSentence({ routes, attached, inForce }: FleetReach): string {
  if (attached === 0) return 'governs no route';
  return `in force in ${inForce} of ${count(attached, 'cluster')} for ${count(routes, 'route')}`;
}

function count(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? '' : 's'}`;
}
