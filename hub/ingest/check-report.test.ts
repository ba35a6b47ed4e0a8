import { expect, test } from 'vitest';
import { HeadgateError } from '../../lib/errors.ts';
import { resource } from '../../lib/sync/index.ts';
import { HostSplit, PathType } from '../../proto/gen/headgate/v1/configured.ts';
import {
  BackendHealth,
  CertificateInfo,
  ClusterInfo,
  Ingress,
  type IngressRule,
  NodeInfo,
  Policy,
  Problem,
  Service,
  Severity,
  Verdict,
} from '../../proto/gen/headgate/v1/reported.ts';
import { checkReport, MAX_BODY_BYTES } from './check-report.ts';

const rule: IngressRule = {
  host: 'shop.example',
  pathType: PathType.PREFIX,
  path: '/cart',
  backend: { service: 'cart', portNumber: 80, portName: '' },
};
const shop: Ingress = {
  namespace: 'shop',
  name: 'web.v1',
  generation: 3n,
  rules: [rule],
  defaultBackend: { service: 'web', portNumber: 0, portName: 'http' },
  tls: [{ hosts: ['shop.example', '*.shop.example'], secret: 'shop-tls' }],
  labels: new Map([['a', 'b']]),
  annotations: new Map(),
};
const ingress = (change: Partial<Ingress>, name = 'shop/web.v1') =>
  ['ingress', name, Ingress.encode({ ...shop, ...change }).finish()] as const;
const ruled = (change: Partial<IngressRule>) => ingress({ rules: [rule, { ...rule, ...change }] });
const backed = (backend: Partial<NonNullable<IngressRule['backend']>>) =>
  ruled({ backend: { service: 'cart', portNumber: 0, portName: '', ...backend } });
const policy = (spec: unknown, kind = 'TrafficPolicy', name = `${kind}/shop/web`) =>
  [
    'policy',
    name,
    Policy.encode({
      kind,
      namespace: 'shop',
      name: 'web',
      generation: 1n,
      specJson: typeof spec === 'string' ? spec : JSON.stringify(spec),
    }).finish(),
  ] as const;
const service = (number: number, portName = '', name = 'shop/web') =>
  [
    'service',
    name,
    Service.encode({ namespace: 'shop', name: 'web', ports: [{ name: portName, number, ready: 1 }] }).finish(),
  ] as const;
const problem = (code: string, name: string, object = 'web') =>
  [
    'problem',
    name,
    Problem.encode({
      code,
      kind: 'Ingress',
      namespace: '',
      name: object,
      field: 'spec',
      message: 'm',
      remedy: '',
      place: '',
      severity: Severity.ERROR,
    }).finish(),
  ] as const;
const node = (name: string, body = name, gatewayAddress = '') =>
  [
    'node',
    name,
    NodeInfo.encode({
      name: body,
      agentVersion: '',
      haproxyVersion: '',
      gatewayAddress,
      ready: true,
      revision: 1n,
    }).finish(),
  ] as const;
const certificate = (name: string) =>
  [
    'certificate',
    name,
    CertificateInfo.encode({
      namespace: 'shop',
      secret: 'tls',
      dnsNames: ['x'],
      notBefore: 0n,
      notAfter: 1n,
      fingerprint: '',
      keyType: 'EC',
    }).finish(),
  ] as const;

const health = (name: string, live = 1, node = 'n1', port = '80') =>
  [
    'health',
    name,
    BackendHealth.encode({
      namespace: 'shop',
      service: 'web',
      port,
      nodes: 2,
      impaired: [{ node, live, total: 2 }],
    }).finish(),
  ] as const;

type Report = readonly [type: string, name: string, body: Uint8Array];
const judge = ([type, name, body]: Report): string => {
  try {
    checkReport(resource(type, name, body));
    return 'passes';
  } catch (thrown) {
    const { code, field } = HeadgateError.from(thrown);
    return field === undefined ? code : `${code} ${field}`;
  }
};

test.each<[string, Report, string]>([
  ['an Ingress', ingress({}), 'passes'],
  ['one without rules', ingress({ rules: [], defaultBackend: undefined }), 'passes'],
  [
    'a wildcard, an Exact path and no host',
    ingress({
      rules: [
        { ...rule, host: '*.x' },
        { ...rule, host: '', pathType: PathType.EXACT, path: '/a/' },
      ],
    }),
    'passes',
  ],
  ['another name than its body’s', ingress({}, 'shop/other'), 'HG3006 name'],
  ['another namespace than its body’s', ingress({ namespace: 'rival' }), 'HG3006 name'],
  ['a malformed namespace', ingress({ namespace: 'a b' }, 'a b/web.v1'), 'HG1002 namespace'],
  ['a malformed object name', ingress({ name: '../x' }, 'shop/../x'), 'HG1002 name'],
  ['an upper-case host', ruled({ host: 'Shop.example' }), 'HG1002 rules[1].host'],
  ['a host with a line end', ruled({ host: 'shop.example\n' }), 'HG1002 rules[1].host'],
  ['a bare star', ruled({ host: '*' }), 'HG1002 rules[1].host'],
  ['a relative path', ruled({ path: 'cart' }), 'HG1002 rules[1].path'],
  ['a path with a space', ruled({ path: '/a b' }), 'HG1002 rules[1].path'],
  ['a path with a zero byte', ruled({ path: '/a\0b' }), 'HG1002 rules[1].path'],
  ['a path that is not in normal form', ruled({ path: '/a/../b' }), 'HG1002 rules[1].path'],
  ['a Prefix path with a final slash', ruled({ path: '/a/' }), 'HG1002 rules[1].path'],
  ['an unknown path type', ruled({ pathType: PathType.UNSPECIFIED }), 'HG1002 rules[1].path_type'],
  ['a rule without backend', ruled({ backend: undefined }), 'HG1002 rules[1].backend'],
  ['a backend without port', backed({}), 'HG1002 rules[1].backend'],
  ['a backend with two ports', backed({ portNumber: 80, portName: 'http' }), 'HG1002 rules[1].backend'],
  ['a port that is none', backed({ portNumber: 70_000 }), 'HG1002 rules[1].backend.port_number'],
  ['a port name that is none', backed({ portName: 'A' }), 'HG1002 rules[1].backend.port_name'],
  ['a service that is none', backed({ service: 'a/b', portNumber: 80 }), 'HG1002 rules[1].backend.service'],
  ['a TLS host that is none', ingress({ tls: [{ hosts: ['a b'], secret: '' }] }), 'HG1002 tls[0].hosts'],
  ['a TLS secret that is none', ingress({ tls: [{ hosts: [], secret: '../x' }] }), 'HG1002 tls[0].secret'],
  ['a body that is cut off', ['ingress', 'shop/web.v1', ingress({})[2].subarray(0, 20)], 'HG3006'],
  ['a body that is too large', ['odd', 'x', Buffer.alloc(MAX_BODY_BYTES + 1)], 'HG1002'],
  ['a Service', service(80, 'http'), 'passes'],
  ['a Service with port 0', service(0), 'HG1002 ports[0].number'],
  ['a Service with a malformed port name', service(80, 'a b'), 'HG1002 ports[0].name'],
  ['a Service under another name', service(80, '', 'shop/other'), 'HG3006 name'],
  ['a policy', policy({ affinity: { cookie: true } }), 'passes'],
  ['a policy with a field unknown', policy({ afinity: {} }), 'HG1002 spec.afinity'],
  [
    'a policy whose weights sum to 0',
    policy({ tiers: [{ clusters: [{ name: 'eu', weight: 0 }] }] }),
    'HG1009 spec.tiers[0].clusters',
  ],
  ["a policy of an endpoint's treatment", policy({ timeouts: { response: '1s' }, healthCheck: {} }), 'passes'],
  [
    'a policy with a bad timeout',
    policy({ overrides: { timeouts: { connect: '80s' } } }),
    'HG1002 spec.overrides.timeouts.connect',
  ],
  [
    'a policy that names more clusters than can share',
    policy({ tiers: [{ clusters: Array.from({ length: 9 }, (_, i) => ({ name: `c${i}`, weight: 1 })) }] }),
    'HG5005 spec.tiers[0].clusters',
  ],
  ['a policy that is no JSON', policy('{'), 'HG3006 spec_json'],
  ['a kind of the hub only', policy({ hosts: ['x'], namespaces: ['shop'] }, 'HostClaim'), 'HG1002 kind'],
  ['a kind of every object', policy({}, 'constructor'), 'HG1002 kind'],
  ['a node', node('n1'), 'passes'],
  ['a node with a gateway', node('n1', 'n1', '[2001:db8::1]:7444'), 'passes'],
  ['one whose gateway is no address', node('n1', 'n1', 'http://x/y'), 'HG1002 gateway_address'],
  ['a node under another name', node('n1', 'n2'), 'HG3006 name'],
  ['a node whose name is none', node('N 1'), 'HG1002 name'],
  ['a certificate', certificate('shop/tls'), 'passes'],
  ['a certificate under another name', certificate('shop/other'), 'HG3006 name'],
  ['the cluster', ['cluster', 'self', ClusterInfo.encode({ uid: 'u', agentVersion: '1' }).finish()], 'passes'],
  ['another cluster', ['cluster', 'us', new Uint8Array()], 'HG3006 name'],
  ['a problem', problem('HG1002', 'HG1002/Ingress/-/web#spec'), 'passes'],
  ['a problem of a file', problem('HG1001', 'HG1001/Ingress/-/späti shop.yaml#spec', 'späti shop.yaml'), 'passes'],
  ['a problem with an escape sequence', problem('HG1002', 'HG1002/Ingress/-/\u001b[2J#spec', '\u001b[2J'), 'HG3006'],
  ['a problem without code', problem('OOPS', 'OOPS/Ingress/-/web#spec'), 'HG1002 code'],
  ['a split', ['split', 'shop.example', HostSplit.encode({ host: 'shop.example', routes: [] }).finish()], 'passes'],
  [
    'a split of what is no host',
    ['split', 'a b', HostSplit.encode({ host: 'a b', routes: [] }).finish()],
    'HG1002 host',
  ],
  [
    'a verdict',
    [
      'verdict',
      'host/x',
      Verdict.encode({
        type: 'host',
        name: 'x',
        digest: Buffer.alloc(0),
        programmed: 1,
        nodes: 1,
        rejections: [],
      }).finish(),
    ],
    'passes',
  ],
  [
    'one with a code that is none',
    [
      'verdict',
      'host/x',
      Verdict.encode({
        type: 'host',
        name: 'x',
        digest: Buffer.alloc(0),
        programmed: 0,
        nodes: 1,
        rejections: [
          { node: 'n1', code: 'HG5003"} 1', message: '', haproxy: '', transient: false, field: '', remedy: '' },
        ],
      }).finish(),
    ],
    'HG1002 rejections[0].code',
  ],
  ["a backend's health", health('shop/web/80'), 'passes'],
  ['one by the name of a port', health('shop/web/http', 0, 'n1', 'http'), 'passes'],
  ['one under another name', health('shop/api/80'), 'HG3006 name'],
  ['one of a port that is none', health('shop/web/a b', 1, 'n1', 'a b'), 'HG1002 port'],
  ['one where all is well', health('shop/web/80', 2), 'HG1002 impaired[0].live'],
  ['one of a node whose name is none', health('shop/web/80', 1, 'N 1'), 'HG1002 impaired[0].node'],
  ['a type that travels down', ['host', 'x', new Uint8Array()], 'HG3006'],
  ['a private key', ['own-certificate', 'shop/tls', new Uint8Array()], 'HG3006'],
  ['a type of the future', ['gateway-class', 'anything at all', new Uint8Array([255])], 'passes'],
  ['a type called like a method', ['constructor', 'x', new Uint8Array()], 'passes'],
  ['a type with a slash', ['a/b', 'x', new Uint8Array()], 'HG3006'],
  ['no name', ['odd', '', new Uint8Array()], 'HG3006'],
  ['a name with a line end', ['odd', 'a\u2028b', new Uint8Array()], 'HG3006'],
  ['a name with half a character', ['odd', '\ud800', new Uint8Array()], 'HG3006'],
])('%s', (_what, report, verdict) => {
  expect(judge(report)).toBe(verdict);
});
