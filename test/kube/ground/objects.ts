import type { KubeObject } from './kube-api.ts';

interface Named {
  readonly namespace: string;
  readonly name: string;
}

interface Labels {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface DeploymentShape extends Named {
  readonly replicas: number;
  /** Of the container; 8080 where absent. */
  readonly port?: number;
}

/** Its pods have the label `app` with the Deployment's name. */
export function deployment({ namespace, name, replicas, port = 8080 }: DeploymentShape): KubeObject {
  const labels = { app: name };
  const container = { name, image: 'none', ports: [{ name: 'http', containerPort: port }] };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace, name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  };
}

export interface ServiceShape extends Named, Labels {
  /** 80 where absent. */
  readonly port?: number;
  readonly targetPort?: number | string;
  /** None selects nothing: its EndpointSlices are made by hand. */
  readonly selector?: Readonly<Record<string, string>>;
}

/** One port, `http`. */
export function service(shape: ServiceShape): KubeObject {
  const { namespace, name, port = 80, targetPort = port, selector, ...metadata } = shape;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name, ...metadata },
    spec: {
      ...(selector === undefined ? {} : { selector }),
      ports: [{ name: 'http', protocol: 'TCP', port, targetPort }],
    },
  };
}

export interface IngressShape extends Named, Labels {
  readonly host: string;
  /** `/` where absent; Prefix. */
  readonly path?: string;
  readonly service: string;
  /** 80 where absent. */
  readonly servicePort?: number;
  readonly ingressClass?: string;
  /** Name of the Secret of its certificate. */
  readonly tlsSecret?: string;
}

/** One host and one path. */
export function ingress(shape: IngressShape): KubeObject {
  const { namespace, name, host, path = '/', service, servicePort = 80, ingressClass, tlsSecret, ...metadata } = shape;
  const backend = { service: { name: service, port: { number: servicePort } } };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { namespace, name, ...metadata },
    spec: {
      ...(ingressClass === undefined ? {} : { ingressClassName: ingressClass }),
      ...(tlsSecret === undefined ? {} : { tls: [{ hosts: [host], secretName: tlsSecret }] }),
      rules: [{ host, http: { paths: [{ path, pathType: 'Prefix', backend }] } }],
    },
  };
}

export interface EndpointShape {
  /** Not of loopback, which the API server refuses. */
  readonly address: string;
  /** True where absent. */
  readonly ready?: boolean;
  readonly terminating?: boolean;
  readonly node?: string;
  readonly zone?: string;
}

export interface EndpointSliceShape extends Named {
  readonly service: string;
  readonly port: number;
  readonly endpoints: readonly EndpointShape[];
}

/** As the controller-manager would make it, for clusters without one. Its port is `http`. */
export function endpointSlice({ namespace, name, service, port, endpoints }: EndpointSliceShape): KubeObject {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace, name, labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    ports: [{ name: 'http', protocol: 'TCP', port }],
    endpoints: endpoints.map(({ address, ready = true, terminating = false, node, zone }) => ({
      addresses: [address],
      conditions: { ready: ready && !terminating, serving: ready, terminating },
      ...(node === undefined ? {} : { nodeName: node }),
      ...(zone === undefined ? {} : { zone }),
    })),
  };
}

/** A node that is ready, with one internal address. */
export function node(name: string, address: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name } },
    status: {
      addresses: [
        { type: 'InternalIP', address },
        { type: 'Hostname', address: name },
      ],
      conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }],
    },
  };
}
