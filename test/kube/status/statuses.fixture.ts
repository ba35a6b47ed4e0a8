import { API_VERSION } from '../../../lib/policy/schemas.ts';
import type { KubeObject } from '../ground/kube-api.ts';
import type { KubeCluster } from '../ground/kube-cluster.ts';

interface IngressStatus {
  readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] };
}

/** Of an Ingress's status, in its order. */
export function addressesOf(object: KubeObject | undefined): readonly string[] {
  const { loadBalancer } = (object?.['status'] ?? {}) as IngressStatus;
  return (loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname ?? '');
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly observedGeneration: number;
}

/** "Accepted True Accepted 1", … */
export function conditionsOf(object: KubeObject | undefined): readonly string[] {
  const { conditions = [] } = (object?.['status'] ?? {}) as { readonly conditions?: readonly Condition[] };
  return conditions.map(
    ({ type, status, reason, observedGeneration }) => `${type} ${status} ${reason} ${observedGeneration}`,
  );
}

export function policyRef(namespace: string, name: string, spec: object): KubeObject {
  return { apiVersion: API_VERSION, kind: 'TrafficPolicy', metadata: { namespace, name }, spec };
}

export interface SeenEvent extends KubeObject {
  readonly type: string;
  readonly reason: string;
  readonly note: string;
  readonly regarding: { readonly name: string; readonly kind: string };
}

/** About one object, ascending by type and note. */
export async function eventsOf(cluster: KubeCluster, { kind, metadata }: KubeObject): Promise<readonly SeenEvent[]> {
  const { namespace = 'default' } = metadata;
  const { items } = await cluster.api.list<SeenEvent>('events.k8s.io/v1', 'Event', { namespace });
  return items
    .filter(({ regarding }) => regarding.kind === kind && regarding.name === metadata.name)
    .sort((a, b) => (`${a.type} ${a.note}` < `${b.type} ${b.note}` ? -1 : 1));
}

/** Statuses that were applied so far, as the API server counts them. */
export async function statusWrites(cluster: KubeCluster): Promise<number> {
  const { body } = await cluster.api.request('GET', '/metrics');
  const counted = String(body)
    .split('\n')
    .filter((line) => line.startsWith('apiserver_request_total{') && line.includes('subresource="status"'))
    .filter((line) => line.includes('verb="APPLY"'));
  return counted.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
