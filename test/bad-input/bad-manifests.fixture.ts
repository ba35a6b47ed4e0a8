import { testCa, type TestLeaf } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { ingress } from '../../cli/demo/manifests.ts';

/** One mistake as its author makes it, in a file of a cluster's folder, and what every view must say about it. */
export interface BadManifest {
  readonly title: string;
  /** `<title>.yaml`, or another name. */
  readonly file: string;
  readonly text: string;
  readonly code: string;
  /** `Kind namespace/name` or `Kind name`. */
  readonly object: string;
  readonly field: string;
  /** In `file`; undefined where the hub finds the fault, which knows no files. */
  readonly line: number | undefined;
  /** Part of what is said. */
  readonly message: string;
}

/** A character sequence that clears a terminal and forges a line, as YAML writes it in double quotes. */
export const EVIL = 'x\\u001b[2J\\u009b31m\\nHG0000 forged';
const HUGE_BYTES = 5 * 1024 * 1024;

interface Rule {
  readonly host?: string;
  readonly path?: string;
  readonly type?: string;
  readonly backend?: string;
  readonly metadata?: string;
  readonly more?: string;
}

/** An Ingress of namespace `bad`: metadata on line 3, host on line 7, its path on line 10. */
function rule(name: string, given: Rule = {}): string {
  const { host = `${name}.bad.example`, path = '/', type = 'Prefix', metadata = '', more = '' } = given;
  const { backend = 'service: { name: web, port: { number: 80 } }' } = given;
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name}, namespace: bad${metadata} }
spec:
  ingressClassName: headgate
  rules:
  - host: ${host}
    http:
      paths:
      - { path: ${path}, pathType: ${type}, backend: { ${backend} } }
${more}`;
}

/** A Headgate object of namespace `bad`: kind on line 2, spec on line 4. */
function policy(name: string, kind: string, spec: string): string {
  const target = 'targetRefs: [{ group: "", kind: Namespace, name: bad }]';
  return `apiVersion: headgate.dev/v1alpha1\nkind: ${kind}\nmetadata: { name: ${name}, namespace: bad }\nspec: { ${target}, ${spec} }\n`;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

export function secret(namespace: string, name: string, { certificate, key }: TestLeaf): string {
  return `---
apiVersion: v1
kind: Secret
metadata: { name: ${name}, namespace: ${namespace} }
type: kubernetes.io/tls
data:
  tls.crt: ${base64(certificate)}
  tls.key: ${base64(key)}
`;
}

const BACKEND = 'spec.rules[0].http.paths[0].backend';

function tls(name: string, of: string): string {
  return `  tls: [{ hosts: [${name}.bad.example], secretName: ${of} }]\n`;
}

function made(
  title: string,
  text: string,
  code: string,
  object: string,
  field: string,
  line: number | undefined,
  message: string,
): BadManifest {
  return { title, file: `${title.replaceAll(' ', '-')}.yaml`, text, code, object, field, line, message };
}

function of(
  title: string,
  given: Rule,
  code: string,
  field: string,
  line: number | undefined,
  message: string,
): BadManifest {
  const name = title.replaceAll(' ', '-');
  return made(title, rule(name, given), code, `Ingress bad/${name}`, field, line, message);
}

/** Every mistake at once: none may hide another. `first` stands before, so that it holds what `second claim` wants. */
export async function badManifests(): Promise<{ readonly first: string; readonly bad: readonly BadManifest[] }> {
  const ca = await testCa();
  const [one, two] = await Promise.all([ca.leaf('pair.bad.example'), ca.leaf('pair.bad.example')]);
  const host = 'spec.rules[0].host';
  const path = 'spec.rules[0].http.paths[0]';
  return {
    first: rule('first', { host: 'claim.bad.example' }),
    bad: [
      made('no yaml', 'kind: Ingress\nmetadata: [\n', 'HG1001', 'File no-yaml.yaml', '', 3, 'does not parse'),
      made('huge', '#'.repeat(HUGE_BYTES), 'HG1001', 'File huge.yaml', '', 1, 'larger than 4 MiB'),
      made(
        'wrong type',
        rule('wrong-type').replace(/- \{ path.*/, '  7'),
        'HG1002',
        'Ingress bad/wrong-type',
        'spec.rules[0].http.paths',
        10,
        'must be an array, not a number',
      ),
      of(
        'no service',
        { backend: 'service: { name: gone, port: { number: 80 } }' },
        'HG1003',
        `${BACKEND}.service.name`,
        10,
        'Service bad/gone is not there',
      ),
      of(
        'no port',
        { backend: 'service: { name: web, port: { name: gone } }' },
        'HG1003',
        `${BACKEND}.service.port`,
        10,
        'no TCP port "gone"',
      ),
      of(
        'no secret',
        { more: tls('no-secret', 'gone') },
        'HG1003',
        'spec.tls[0].secretName',
        11,
        'Secret bad/gone is not there',
      ),
      made(
        'foreign key',
        `${rule('pair', { more: tls('pair', 'pair') })}${secret('bad', 'pair', { certificate: one.certificate, key: two.key })}`,
        'HG1004',
        'Secret bad/pair',
        'data[tls.key]',
        13,
        'matches no certificate',
      ),
      of('host with space', { host: '"bad host.example"' }, 'HG1002', host, 7, 'is no host name'),
      of('host with control', { host: `"${EVIL}.example"` }, 'HG1002', host, 7, 'is no host name'),
      of('path with space', { path: '"/a b"' }, 'HG1002', `${path}.path`, 10, 'holds a space'),
      of('path with control', { path: `"/${EVIL}"` }, 'HG1002', `${path}.path`, 10, 'a control character'),
      of('relative path', { path: 'rel' }, 'HG1002', `${path}.path`, 10, 'is not absolute'),
      of('path type', { type: 'Regex' }, 'HG1002', `${path}.pathType`, 10, 'expected one of'),
      of(
        'resource',
        { backend: 'resource: { apiGroup: a.example, kind: B, name: c }' },
        'HG1010',
        `${BACKEND}.resource`,
        10,
        'not supported',
      ),
      of(
        'second claim',
        { host: 'claim.bad.example' },
        'HG1005',
        'spec.rules[0]',
        undefined,
        'held by Ingress bad/first',
      ),
      of(
        'rival',
        { host: 'good.example', metadata: ', creationTimestamp: "2001-01-01T00:00:00Z"' },
        'HG1006',
        'spec.rules[0]',
        undefined,
        'belongs to namespace good',
      ),
      made(
        'unknown cluster',
        policy('mars', 'TrafficPolicy', 'tiers: [{ clusters: [{ name: mars, weight: 1 }, { name: eu, weight: 1 }] }]'),
        'HG1008',
        'TrafficPolicy bad/mars',
        'spec.tiers[0].clusters',
        undefined,
        'there is no cluster mars',
      ),
      made(
        'no weight',
        policy('zero', 'TrafficPolicy', 'tiers: [{ clusters: [{ name: eu, weight: 0 }] }]'),
        'HG1009',
        'TrafficPolicy bad/zero',
        'spec.tiers[0].clusters',
        4,
        'weights sum to 0',
      ),
      made(
        'later kind',
        policy('later', 'RateLimitPolicy', 'limits: []'),
        'HG1002',
        'RateLimitPolicy bad/later',
        'kind',
        2,
        'RateLimitPolicy is not supported by this version',
      ),
      made(
        'no kind',
        policy('evil', `"${EVIL}Policy"`, 'a: 1'),
        'HG1002',
        'File no-kind.yaml',
        'kind',
        2,
        'is no kind of headgate.dev',
      ),
      of(
        'protection',
        { metadata: ', annotations: { haproxy.org/allow-list: 10.0.0.0/8 }' },
        'HG1010',
        'metadata.annotations[haproxy.org/allow-list]',
        3,
        'protects these routes',
      ),
      of(
        'annotation with control',
        { metadata: `, annotations: { "haproxy.org/${EVIL}": "${EVIL}" }` },
        'HG1010',
        'metadata.annotations[haproxy.org/x\\u001b[2J\\u009b31m\\u000aHG0000 forged]',
        3,
        'not honoured',
      ),
      made(
        'name with control',
        rule(`"${EVIL}"`, { host: 'n.bad.example' }),
        'HG1002',
        'File name-with-control.yaml',
        'metadata.name',
        3,
        'RFC 1123',
      ),
      made(
        'namespace',
        ingress('Bad_NS', 'web', 'ns.bad.example'),
        'HG1002',
        'File namespace.yaml',
        'metadata.namespace',
        3,
        'RFC 1123',
      ),
    ],
  };
}
