import type { TestLeaf } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { hostileFields } from './hostile-settings.ts';
import { hostileIn, hostileText, MARK, pick } from './hostile-text.ts';

type Random = () => number;

/** Secret that serves whoever asks for no name of the fleet's. */
export const DEFAULT_CERTIFICATE = 'd/default';

/** Kubernetes and Headgate objects, each with hostile text in one of its fields or more, and what they refer to. */
export function hostileManifests(random: Random, count: number, leaf: TestLeaf, loopback = 8080): unknown[] {
  const objects: unknown[] = [
    service('web', {}),
    slice('web', { endpoints: [{ addresses: ['127.0.0.1'] }] }, loopback),
  ];
  for (let i = 0; i < count; i++) objects.push(...hostileObject(random, `h${i}`, leaf, loopback));
  return objects;
}

function hostileObject(random: Random, name: string, leaf: TestLeaf, port: number): readonly unknown[] {
  const text = (): string => hostileText(random);
  const hostName = (): string => hostileIn(random, 'host');
  const path = (): string => hostileIn(random, 'path');
  const host = `${MARK}-${name}.example`;
  const spoilt = (pem: string): string => {
    const at = Math.floor(random() * pem.length);
    return pem.slice(0, at) + text() + pem.slice(at);
  };
  const kinds: readonly (() => readonly unknown[])[] = [
    () => [ingress(name, hostName(), '/')],
    () => [ingress(name, host, path())],
    () => [ingress(name, host, path(), {}, pick(random, ['Exact', 'Prefix', 'ImplementationSpecific', text()]))],
    () => [
      ingress(name, hostName(), path(), {
        annotations: {
          [pick(random, ['headgate.dev/', 'haproxy.org/', 'nginx.ingress.kubernetes.io/', '']) + text()]: text(),
          'haproxy.org/backend-config-snippet': text(),
        },
      }),
    ],
    () => [ingress(name, host, '/', { labels: { [text()]: text() } })],
    () => [ingress(hostileIn(random, 'name'), host, '/')],
    () => [ingress(name, host, '/', { namespace: hostileIn(random, 'name') })],
    () => [ingress(name, host, '/', {}, 'Prefix', hostileIn(random, 'name'))],
    () => [ingress(name, host, '/', {}, 'Prefix', 'web', { name: hostileIn(random, 'name') })],
    () => [ingress(name, host, '/', {}, 'Prefix', 'web', { number: 80 }, { ingressClassName: text() })],
    () => [
      ingress(
        name,
        host,
        '/',
        {},
        'Prefix',
        'web',
        { number: 80 },
        { tls: [{ hosts: [hostName(), host], secretName: hostileIn(random, 'name') }] },
      ),
    ],
    () => [ingress(name, host, '/', { [text()]: text() }, 'Prefix', 'web', { number: 80 }, { [text()]: text() })],
    () => [
      service(hostileIn(random, 'name'), {}),
      service(`s${name}`, { ports: [{ name: hostileIn(random, 'name'), port: 80 }] }),
    ],
    () => [
      service(`s${name}`, {
        type: pick(random, [text(), 'ExternalName']),
        externalName: text(),
        ports: [{ port: 80 }],
      }),
    ],
    () => [
      slice(
        `web-${name}`,
        { endpoints: [{ addresses: [pick(random, [text(), `127.0.0.1${text()}`, `127.0.0.1 ${text()}`])] }] },
        port,
      ),
    ],
    () => [
      slice(
        `web-${name}`,
        {
          addressType: 'IPv6',
          endpoints: [{ addresses: [pick(random, [text(), `::1${text()}`, `fd00::1%${text()}`, '::1'])] }],
        },
        port,
      ),
    ],
    () => [slice(`web-${name}`, { ports: [{ name: text(), port }] }, port), slice(hostileIn(random, 'name'), {}, port)],
    () => [secret(name, spoilt(leaf.certificate), leaf.key), ...secured(name, host)],
    () => [secret(name, leaf.certificate, spoilt(leaf.key)), ...secured(name, host)],
    () => [
      { ...secret(name, '', ''), data: { 'tls.crt': base64(text()), 'tls.key': text(), [text()]: text() } },
      ...secured(name, host),
    ],
    () => [policy(name, { tiers: [{ clusters: [{ name: hostileIn(random, 'name'), weight: 1 }] }] })],
    () => [
      policy(name, {
        tiers: [{ clusters: [{ selector: { [text()]: text() }, weight: 1 }] }],
        onStale: { after: text(), action: text() },
      }),
    ],
    () => [policy(name, { targetRefs: [{ group: text(), kind: 'Ingress', name: text() }], exposure: text() })],
    () => [
      policy(name, {
        targetRefs: [{ group: 'headgate.dev', kind: 'Route', name: `${hostName()}${path()}` }],
        affinity: { cookie: true, drain: text() },
      }),
    ],
    () => [ingress(name, host, '/'), policy(name, { targetRefs: [target(name)], ...hostileFields(random, leaf) })],
    () => [
      ingress(name, host, '/'),
      policy(name, { targetRefs: [target(name)], overrides: hostileFields(random, leaf) }),
    ],
    () => [
      ingress(
        name,
        host,
        hostileIn(random, 'regex'),
        { annotations: { 'headgate.dev/path-regex': pick(random, ['true', 'true', text()]) } },
        'ImplementationSpecific',
      ),
    ],
    () => [secret('default', spoilt(leaf.certificate), pick(random, [leaf.key, text()]))],
    () => [secret('default', pick(random, [leaf.certificate, leaf.certificate + text()]), leaf.key)],
    () => [{ apiVersion: text(), kind: text(), metadata: { name: text(), namespace: text() } }],
    () => [
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'IngressClass',
        metadata: { name: hostileIn(random, 'name') },
        spec: { controller: pick(random, [text(), 'headgate.dev/ingress']) },
      },
    ],
  ];
  return pick(random, kinds)();
}

export function ingress(
  name: string,
  host: string,
  path: string,
  metadata: object = {},
  pathType = 'Prefix',
  to = 'web',
  port: object = { number: 80 },
  spec: object = {},
) {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name, namespace: 'd', ...metadata },
    spec: {
      ingressClassName: 'headgate',
      rules: [{ host, http: { paths: [{ path, pathType, backend: { service: { name: to, port } } }] } }],
      ...spec,
    },
  };
}

export function service(name: string, spec: object) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'd' },
    spec: { ports: [{ port: 80 }], ...spec },
  };
}

export function slice(name: string, fields: object, port: number) {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'd', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ port }],
    endpoints: [],
    ...fields,
  };
}

function secret(name: string, certificate: string, key: string) {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'd' },
    type: 'kubernetes.io/tls',
    stringData: { 'tls.crt': certificate, 'tls.key': key },
  };
}

/** An Ingress that a Secret's certificate is for. */
function secured(name: string, host: string): unknown[] {
  return [
    ingress(
      `tls-${name}`,
      host,
      '/',
      {},
      'Prefix',
      'web',
      { number: 80 },
      { tls: [{ hosts: [host], secretName: name }] },
    ),
  ];
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function target(name: string) {
  return { group: 'networking.k8s.io', kind: 'Ingress', name };
}

function policy(name: string, spec: object) {
  return { apiVersion: 'headgate.dev/v1alpha1', kind: 'TrafficPolicy', metadata: { name, namespace: 'd' }, spec };
}
