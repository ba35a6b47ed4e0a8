import type { Pod } from './pods.ts';

/** Kubernetes objects, as a folder's manifests hold them. */
export type KubeObject = Readonly<Record<string, unknown>>;

export const NAMESPACE = 'shop';
const metadata = (name: string) => ({ name, namespace: NAMESPACE });

export type PathKind = 'Exact' | 'Prefix' | 'ImplementationSpecific';

/** `path -> service[:port]`, port 80 unless given, a number or a name. */
export interface Path {
  readonly path: string;
  readonly type?: PathKind;
  readonly to: string;
}

export interface Rule {
  readonly host?: string;
  readonly paths: readonly Path[];
}

export interface IngressShape {
  readonly rules?: readonly Rule[];
  readonly defaultBackend?: string;
  readonly tls?: readonly { readonly hosts?: readonly string[]; readonly secretName: string }[];
  /** null: no class at all. */
  readonly className?: string | null;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The same object in another namespace. */
export function inNamespace(namespace: string, object: KubeObject): KubeObject {
  return { ...object, metadata: { ...(object['metadata'] as object), namespace } };
}

export function ingress(name: string, shape: IngressShape): KubeObject {
  const { rules, defaultBackend, tls, className = 'headgate', annotations = {} } = shape;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { ...metadata(name), annotations },
    spec: {
      ...(className === null ? {} : { ingressClassName: className }),
      ...(defaultBackend === undefined ? {} : { defaultBackend: backend(defaultBackend) }),
      ...(rules === undefined ? {} : { rules: rules.map(rule) }),
      ...(tls === undefined ? {} : { tls }),
    },
  };
}

function rule({ host, paths }: Rule) {
  return {
    ...(host === undefined ? {} : { host }),
    http: { paths: paths.map(({ path, type = 'Prefix', to }) => ({ path, pathType: type, backend: backend(to) })) },
  };
}

function backend(to: string) {
  const [name = '', port = '80'] = to.split(':');
  return { service: { name, port: /^\d+$/.test(port) ? { number: Number(port) } : { name: port } } };
}

/** @param ports number by name; '' for one without a name. */
export function service(name: string, ports: Readonly<Record<string, number>> = { '': 80 }): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(name),
    spec: { ports: Object.entries(ports).map(([port, number]) => ({ ...named(port), port: number })) },
  };
}

export interface Conditions {
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

/** One slice with one endpoint: on loopback every pod has a port of its own. @param port its name in the Service */
export function slice(service: string, pod: Pod, conditions: Conditions = { ready: true }, port = ''): KubeObject {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...metadata(`${service}-${pod.name}`), labels: { 'kubernetes.io/service-name': service } },
    addressType: pod.address.includes(':') ? 'IPv6' : 'IPv4',
    ports: [{ ...named(port), port: pod.port }],
    endpoints: [{ addresses: [pod.address], conditions }],
  };
}

/** A Service of one pod. */
export function served(name: string, pod: Pod): KubeObject[] {
  return [service(name), slice(name, pod)];
}

export function ingressClass(name: string, isDefault = false, controller = 'headgate.dev/ingress'): KubeObject {
  const mark: Record<string, string> = isDefault ? { 'ingressclass.kubernetes.io/is-default-class': 'true' } : {};
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    metadata: { name, annotations: mark },
    spec: { controller },
  };
}

export function secret(name: string, pair: { readonly certificate: string; readonly key: string }): KubeObject {
  const data = { 'tls.crt': base64(pair.certificate), 'tls.key': base64(pair.key) };
  return { apiVersion: 'v1', kind: 'Secret', metadata: metadata(name), type: 'kubernetes.io/tls', data };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function named(port: string) {
  return port === '' ? {} : { name: port };
}
