import type { CommittedPolicy } from '../fleet/state.ts';
import type { Offer } from './host/offers.ts';
import { compare } from '../../lib/compare.ts';
import type { ObjectStatus } from './types.ts';

type Fault = Pick<ObjectStatus, 'accepted' | 'reason' | 'code' | 'message'> & {
  readonly field?: string | undefined;
  readonly remedy?: string | undefined;
};

export function ingressStatus(offer: Offer, fault: Fault): ObjectStatus {
  return {
    kind: 'Ingress',
    namespace: offer.namespace,
    name: offer.ingress,
    cluster: offer.cluster,
    field: offer.field,
    remedy: undefined,
    ...fault,
  };
}

export function policyStatus(
  policy: Pick<CommittedPolicy<unknown>, 'kind' | 'namespace' | 'name' | 'clusterScope'>,
  fault: Fault,
): ObjectStatus {
  return {
    kind: policy.kind,
    namespace: policy.namespace,
    name: policy.name,
    cluster: policy.clusterScope,
    field: undefined,
    remedy: undefined,
    ...fault,
  };
}

/** Ascending by object, then field and message; equal ones once. */
export function sortStatuses(statuses: readonly ObjectStatus[]): ObjectStatus[] {
  const keyed = new Map(statuses.map((status) => [statusKey(status), status]));
  return [...keyed].sort(([a], [b]) => compare(a, b)).map(([, status]) => status);
}

function statusKey(status: ObjectStatus): string {
  const { kind, namespace, name, cluster, code, field, message } = status;
  return [kind, namespace, name, cluster ?? '', code ?? '', field ?? '', message].join('\0');
}
