import { resources, type ApiResource } from '../../../lib/kubernetes/index.ts';
import { pluralOf } from '../../../lib/policy/custom-resources/definition.ts';
import { API_VERSION, policyKinds, type PolicyKind } from '../../../lib/policy/schemas.ts';

/** Kubernetes' own kinds that make up a cluster's report; Secrets are watched one by one, as they are named. */
export const coreKinds: readonly ApiResource[] = [
  resources.ingressClasses,
  resources.ingresses,
  resources.services,
  resources.endpointSlices,
];

/** Headgate's kinds that have force in a member cluster, whether or not they are installed. */
export const policyResources: readonly ApiResource[] = (Object.keys(policyKinds) as PolicyKind[])
  .filter((kind) => policyKinds[kind].scope === 'anywhere')
  .map(policyResource);

function policyResource(kind: PolicyKind): ApiResource {
  const [group = '', version = ''] = API_VERSION.split('/');
  return { group, version, plural: pluralOf(kind), kind, namespaced: policyKinds[kind].namespaced };
}
