import type { KubeApi } from './ground/kube-api.ts';

interface Resource {
  readonly name: string;
  readonly namespaced: boolean;
}

interface Review {
  readonly status: { readonly allowed: boolean };
}

export interface Ask {
  readonly verb: string;
  /** `group/resource`, `group/resource/subresource`; the group is empty for the oldest kinds. */
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string;
}

/** `*` is the same as all of them to RBAC, so it need not be asked for. */
const VERBS =
  'get list watch create update patch delete deletecollection impersonate bind escalate approve sign attest use';
const AT_ONCE = 32;

/** What is no resource of its own, but a rule may name. */
const VIRTUAL = ['/users', '/groups', 'authentication.k8s.io/userextras', 'authentication.k8s.io/uids'];

/** `group/resource` of everything that the API server serves, subresources included. */
export async function everyResource(api: KubeApi): Promise<readonly (Resource & { readonly group: string })[]> {
  const { groups } = await api.call<{
    readonly groups: readonly { name: string; versions: readonly { groupVersion: string }[] }[];
  }>('GET', '/apis');
  const versions = groups.flatMap(({ name, versions }) =>
    versions.map(({ groupVersion }) => ({ group: name, path: `/apis/${groupVersion}` })),
  );
  const found = new Map<string, Resource & { readonly group: string }>();
  for (const { group, path } of [{ group: '', path: '/api/v1' }, ...versions]) {
    const { resources } = await api.call<{ readonly resources: readonly Resource[] }>('GET', path);
    for (const resource of resources) found.set(`${group}/${resource.name}`, { ...resource, group });
  }
  return [...found.values()];
}

/** @param user `system:serviceaccount:<namespace>:<name>` */
export async function may(api: KubeApi, user: string, { verb, resource, namespace, name }: Ask): Promise<boolean> {
  const [group = '', plural = '', subresource = ''] = resource.split('/');
  const [, , home = ''] = user.split(':');
  const { status } = await api.call<Review>('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user,
        groups: ['system:serviceaccounts', `system:serviceaccounts:${home}`, 'system:authenticated'],
        resourceAttributes: { verb, group, resource: plural, subresource, namespace, name },
      },
    },
  });
  return status.allowed;
}

/**
 * Every verb on every resource that a user may use in each of the namespaces (the empty one: in all of them),
 * `<namespace>: <verb> <resource>`, ascending.
 */
export async function everythingAllowed(
  api: KubeApi,
  user: string,
  namespaces: readonly string[],
): Promise<ReadonlySet<string>> {
  const resources = (await everyResource(api)).map(({ group, name, namespaced }) => ({
    resource: `${group}/${name}`,
    namespaced,
  }));
  const asks: Ask[] = [];
  for (const { resource, namespaced } of [
    ...resources,
    ...VIRTUAL.map((resource) => ({ resource, namespaced: false })),
  ]) {
    for (const namespace of namespaced ? namespaces : ['']) {
      for (const verb of VERBS.split(' ')) asks.push({ verb, resource, namespace });
    }
  }
  const allowed: string[] = [];
  const left = asks.values();
  const worker = async (): Promise<void> => {
    for (const ask of left) {
      if (await may(api, user, ask)) allowed.push(`${ask.namespace ?? ''}: ${ask.verb} ${ask.resource}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return new Set(allowed.sort());
}
