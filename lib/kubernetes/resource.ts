import { z } from 'zod';

/** A kind as the API server serves it. */
export interface ApiResource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** As in paths: `ingresses`. */
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

export interface ObjectName {
  /** Empty for kinds without a namespace. */
  readonly namespace: string;
  readonly name: string;
}

/** One object, or all of a kind, in one namespace where one is given. */
export interface Scope {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

/** What every object of the API has; the rest is the reader's to check. */
export interface KubernetesObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string | undefined;
    readonly uid?: string | undefined;
    readonly resourceVersion?: string | undefined;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

const objectShape = z.looseObject({
  metadata: z.looseObject({
    name: z.string().min(1),
    namespace: z.string().optional(),
    uid: z.string().optional(),
    resourceVersion: z.string().optional(),
  }),
});

/** @throws z.ZodError where it is none */
export function kubernetesObject(value: unknown): KubernetesObject {
  return objectShape.parse(value);
}

/** `Kind namespace/name`, `Kind name`, or the plural where it is about all of them. */
export function titleOf({ kind, plural }: ApiResource, name?: Scope): string {
  if (name?.name === undefined) return name?.namespace === undefined ? plural : `${plural} of ${name.namespace}`;
  return name.namespace === undefined || name.namespace === ''
    ? `${kind} ${name.name}`
    : `${kind} ${name.namespace}/${name.name}`;
}

export function pathOf(resource: ApiResource, { namespace = '', name }: Scope, subresource?: string): string {
  const { group, version, plural, namespaced } = resource;
  const parts = group === '' ? ['api', version] : ['apis', group, version];
  if (namespaced && namespace !== '') parts.push('namespaces', namespace);
  if (plural !== '') parts.push(plural);
  if (name !== undefined) parts.push(name);
  if (subresource !== undefined) parts.push(subresource);
  return `/${parts.map(encodeURIComponent).join('/')}`;
}

/** Kinds of Kubernetes' own that Headgate reads or writes. */
export const resources = {
  ingresses: {
    group: 'networking.k8s.io',
    version: 'v1',
    plural: 'ingresses',
    kind: 'Ingress',
    namespaced: true,
  },
  ingressClasses: {
    group: 'networking.k8s.io',
    version: 'v1',
    plural: 'ingressclasses',
    kind: 'IngressClass',
    namespaced: false,
  },
  services: { group: '', version: 'v1', plural: 'services', kind: 'Service', namespaced: true },
  endpointSlices: {
    group: 'discovery.k8s.io',
    version: 'v1',
    plural: 'endpointslices',
    kind: 'EndpointSlice',
    namespaced: true,
  },
  secrets: { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true },
  namespaces: { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false },
  nodes: { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false },
  leases: { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease', namespaced: true },
  events: { group: 'events.k8s.io', version: 'v1', plural: 'events', kind: 'Event', namespaced: true },
} as const satisfies Record<string, ApiResource>;
