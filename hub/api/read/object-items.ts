import { ANY_HOST } from '../../../lib/domain/host-name.ts';
import { laterKinds, policyKinds } from '../../../lib/policy/schemas.ts';
import { type Problem, Severity } from '../../../proto/gen/headgate/v1/reported.ts';
import type { ObjectStatus } from '../../compile/types.ts';
import type { ClusterState, CommittedPolicy } from '../../fleet/state.ts';
import type { HubView } from '../../view.ts';
import { policyKey } from '../policy-key.ts';
import type { CertificateItem, IngressItem, PolicyItem } from '../types.ts';
import { byParts } from './order.ts';
import { allStatuses, statusKey, worstByObject } from './statuses.ts';
import { backendsOf, rejectionsOf, resourceCount } from './troubles.ts';

export function ingressItems(view: HubView): readonly IngressItem[] {
  const statuses = allStatuses(view);
  const worst = worstByObject(statuses);
  const wrong = Map.groupBy(
    statuses.filter(({ reason }) => reason !== 'Accepted'),
    statusKey,
  );
  const items: IngressItem[] = [];
  for (const [cluster, state] of view.state().clusters) {
    const reported = problemsByObject(cluster, state);
    for (const { value, heldBy } of state.ingresses.values()) {
      const key = statusKey({ kind: 'Ingress', namespace: value.namespace, name: value.name, cluster });
      const status = worst.get(key);
      const backends = [...backendsOf(value)];
      const hosts = new Set(value.rules.map(({ host }) => (host === '' ? ANY_HOST : host)));
      const rejections = rejectionsOf(state, [
        ...[...hosts].map((host) => `host/${host}`),
        ...backends.map((backend) => `backend/${backend}`),
      ]);
      const objects = (reported.get(key)?.length ?? 0) + (wrong.get(key)?.length ?? 0);
      const out = backends.filter((backend) => state.health.has(backend)).length;
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
        problems: objects + resourceCount(rejections) + out,
        rejections,
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
 * Of every kind, at the hub and in member clusters; those too that a member cluster's agent refused, of which the hub
 * has nothing else. What "apply" refuses is told to its caller and kept nowhere.
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
  const refused = refusedPolicies(state.clusters.values());
  const items = committed.map((policy): PolicyItem => {
    const { kind, name, clusterScope } = policy;
    const namespace = policy.namespace === '-' ? '' : policy.namespace;
    const key = statusKey({ kind, namespace, name, cluster: clusterScope });
    const status = worst.get(key);
    const problem = refused.get(key);
    refused.delete(key);
    return {
      kind,
      namespace: namespace === '' ? null : namespace,
      name,
      cluster: clusterScope ?? null,
      generation: policy.generation.toString(),
      revision: policy.modRevision.toString(),
      ...(problem === undefined ? condition(status) : invalid(problem)),
      spec: (clusterScope === undefined ? written.get(policyKey(kind, namespace, name)) : undefined) ?? policy.value,
    };
  });
  for (const [, problem] of refused) {
    const { kind, namespace, name, cluster } = problem;
    const object = { kind, namespace: namespace === '' ? null : namespace, name, cluster };
    const nothing = { generation: null, revision: null, spec: null };
    items.push({ ...object, ...nothing, ...invalid(problem) });
  }
  return items.sort(
    byParts(
      (item) => item.kind,
      (item) => item.cluster ?? '',
      (item) => item.namespace ?? '',
      (item) => item.name,
    ),
  );
}

type Condition = Pick<PolicyItem, 'accepted' | 'reason' | 'message' | 'field' | 'remedy'>;

function condition(status: ObjectStatus | undefined): Condition {
  const { accepted = true, reason = 'Accepted', message = '', field = '', remedy = '' } = status ?? {};
  return { accepted, reason, message, field, remedy };
}

/** Of a version that was refused; the last good one, where there is one, stays in force. */
function invalid({ message, field, remedy }: Problem): Condition {
  return { accepted: false, reason: 'Invalid', message, field, remedy };
}

/** The first error of each policy that its cluster's agent refused, by `statusKey`. */
function refusedPolicies(clusters: Iterable<ClusterState>): Map<string, Problem & { readonly cluster: string }> {
  const refused = new Map<string, Problem & { readonly cluster: string }>();
  for (const { name: cluster, problems } of clusters) {
    const sorted = [...problems].sort(byParts(([resource]) => resource));
    for (const [, problem] of sorted) {
      const isPolicy = Object.hasOwn(policyKinds, problem.kind) || laterKinds.has(problem.kind);
      const key = statusKey({ ...problem, cluster });
      if (!isPolicy || problem.severity === Severity.WARNING || refused.has(key)) continue;
      refused.set(key, { ...problem, cluster });
    }
  }
  return refused;
}

function problemsByObject(cluster: string, { problems }: ClusterState): ReadonlyMap<string, readonly Problem[]> {
  return Map.groupBy(problems.values(), (problem) => statusKey({ ...problem, cluster }));
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
