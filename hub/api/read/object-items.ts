import type { CommittedPolicy } from '../../fleet/state.ts';
import type { HubView } from '../../view.ts';
import { policyKey } from '../policy-key.ts';
import type { CertificateItem, IngressItem, PolicyItem } from '../types.ts';
import { byParts } from './order.ts';
import { allStatuses, statusKey, worstByObject } from './statuses.ts';

export function ingressItems(view: HubView): readonly IngressItem[] {
  const worst = worstByObject(allStatuses(view));
  const items: IngressItem[] = [];
  for (const [cluster, { ingresses }] of view.state().clusters) {
    for (const { value, heldBy } of ingresses.values()) {
      const status = worst.get(statusKey({ kind: 'Ingress', namespace: value.namespace, name: value.name, cluster }));
      items.push({
        cluster,
        namespace: value.namespace,
        name: value.name,
        hosts: [...new Set(value.rules.map((rule) => (rule.host === '' ? '*' : rule.host)))].sort(),
        rules: value.rules.length,
        generation: value.generation.toString(),
        accepted: status?.accepted ?? true,
        reason: status?.reason ?? 'Accepted',
        held_by: heldBy ?? null,
      });
    }
  }
  return items.sort(
    byParts(
      (item) => item.cluster,
      (item) => item.namespace,
      (item) => item.name,
    ),
  );
}

/**
 * Of every kind, at the hub and in member clusters.
 *
 * @param written the hub's specs as people wrote them, by store key; the state holds them in normal form.
 */
export function policyItems(view: HubView, written: ReadonlyMap<string, unknown>): readonly PolicyItem[] {
  const state = view.state();
  const worst = worstByObject(allStatuses(view));
  const committed: CommittedPolicy<unknown>[] = [
    ...state.trafficPolicies.values(),
    ...state.hostClaims.values(),
    ...state.clusterObjects.values(),
    ...[...state.clusters.values()].flatMap((cluster) => [...cluster.policies.values()]),
  ];
  return committed
    .map((policy): PolicyItem => {
      const { kind, name, clusterScope } = policy;
      const namespace = policy.namespace === '-' ? '' : policy.namespace;
      const status = worst.get(statusKey({ kind, namespace, name, cluster: clusterScope }));
      return {
        kind,
        namespace: namespace === '' ? null : namespace,
        name,
        cluster: clusterScope ?? null,
        generation: policy.generation.toString(),
        revision: policy.modRevision.toString(),
        accepted: status?.accepted ?? true,
        reason: status?.reason ?? 'Accepted',
        message: status?.message ?? '',
        spec: (clusterScope === undefined ? written.get(policyKey(kind, namespace, name)) : undefined) ?? policy.value,
      };
    })
    .sort(
      byParts(
        (item) => item.kind,
        (item) => item.cluster ?? '',
        (item) => item.namespace ?? '',
        (item) => item.name,
      ),
    );
}

export function certificateItems(view: HubView): readonly CertificateItem[] {
  const items: CertificateItem[] = [];
  for (const [cluster, { certificates }] of view.state().clusters) {
    for (const info of certificates.values()) {
      items.push({
        cluster,
        namespace: info.namespace,
        name: info.secret,
        dns_names: [...info.dnsNames].sort(),
        not_before: new Date(Number(info.notBefore) * 1_000).toISOString(),
        not_after: new Date(Number(info.notAfter) * 1_000).toISOString(),
        key_type: info.keyType,
        fingerprint: info.fingerprint,
      });
    }
  }
  return items.sort(
    byParts(
      (item) => item.cluster,
      (item) => item.namespace,
      (item) => item.name,
    ),
  );
}
