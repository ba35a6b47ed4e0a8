import { describe, expect, test } from 'vitest';
import { trafficPolicySpec } from '../policy/schemas.ts';
import { objectKey, placeOf } from './manifest.ts';
import { parseManifests, type ParsedParts } from './parse.ts';

const ingress = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: web, namespace: shop }
spec:
  rules:
  - host: shop.example
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: { service: { name: web, port: { number: 80 } } }
`;

function lines(text: string): string[] {
  return parseManifests(text, 'a.yaml').errors.map(({ error }) => error.line());
}

function secret(data: string): string {
  return `apiVersion: v1\nkind: Secret\nmetadata: { name: tls }\n${data}\n`;
}

describe('documents', () => {
  test('several in a file, of which unknown kinds are left out', () => {
    const text = `# a shop
---
${ingress}---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { ports: [{ port: 80, targetPort: http, name: http }], selector: { app: web } }
---
`;
    const parsed = parseManifests(text, 'a.yaml');
    expect(parsed.errors).toEqual([]);
    expect(parsed.documents.map(objectKey)).toEqual(['Ingress/shop/web', 'Service/default/web']);
    expect(parsed.documents.map(({ place }) => place.line)).toEqual([3, 19]);
  });

  test('a field has its own line, a missing one that of what should hold it', () => {
    const [document] = parseManifests(`---\n${ingress}`, 'a.yaml').documents;
    if (document === undefined) throw new Error('no document');
    expect(placeOf(document, 'spec.rules[0].host').line).toBe(7);
    expect(placeOf(document, 'spec.rules[0].http.paths[0].backend.service.port').line).toBe(12);
    expect(placeOf(document, 'spec.tls[0].secretName').line).toBe(6);
  });

  test('JSON is read like YAML', () => {
    const text = JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: {} }, undefined, 2);
    expect(parseManifests(text, 'a.json').documents.map(objectKey)).toEqual(['Service/default/a']);
  });

  test('members of a List stand for themselves, with their own places', () => {
    const text = `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: { name: a }
  spec: {}
- apiVersion: networking.k8s.io/v1
  kind: Ingress
  metadata: { name: b }
  spec:
    rules:
    - host: 5
`;
    const parsed = parseManifests(text, 'a.yaml');
    expect(parsed.documents.map(objectKey)).toEqual(['Service/default/a']);
    expect(lines(text)).toEqual([
      'HG1002 a.yaml:13 Ingress default/b spec.rules[0].host: must be a string, not a number; put the value in quotes',
    ]);
  });

  test('an empty file is readable and holds nothing', () => {
    expect(parseManifests('', 'a.yaml')).toEqual({ readable: true, documents: [], errors: [] });
    expect(parseManifests('# nothing\n---\n', 'a.yaml').documents).toEqual([]);
  });

  test('v1 Endpoints become slices', () => {
    const text = `apiVersion: v1
kind: Endpoints
metadata: { name: web }
subsets:
- addresses: [{ ip: 10.0.0.1 }, { ip: "fd00::1" }]
  notReadyAddresses: [{ ip: 10.0.0.2 }]
  ports: [{ port: 8080 }]
`;
    const { documents } = parseManifests(text, 'a.yaml');
    expect(documents.map(objectKey)).toEqual([
      'EndpointSlice/default/endpoints:web:0',
      'EndpointSlice/default/endpoints:web:0:ipv6',
    ]);
    expect(documents[0]?.labels.get('kubernetes.io/service-name')).toBe('web');
  });
});

describe('a file read again', () => {
  test('what did not change is the same object', () => {
    const known: ParsedParts = new Map();
    const other = ingress.replace('name: web, namespace', 'name: other, namespace');
    const first = parseManifests(`${ingress}---\n${other}`, 'a.yaml', known).documents;
    const second = parseManifests(
      `${ingress}---\n${other.replace('shop.example', 'new.example')}`,
      'a.yaml',
      known,
    ).documents;
    expect(second[0]).toBe(first[0]);
    expect(second[1]).not.toBe(first[1]);
    // Lines are part of what is remembered.
    const [third] = parseManifests(`# moved\n${ingress}`, 'a.yaml', known).documents;
    expect(third?.place.line).toBe(2);
    expect(known.size).toBe(1);
  });

  test('a file that stops being YAML is unreadable as a whole, wherever that is', () => {
    for (const text of [`${ingress}---\nkind: [\n`, `kind: [\n---\n${ingress}`]) {
      const parsed = parseManifests(text, 'a.yaml', new Map());
      expect(parsed).toMatchObject({ readable: false, documents: [] });
    }
  });

  test('documents with directives and end marks, and markers in text', () => {
    const text = `%YAML 1.2\n---\n${ingress}...\n%YAML 1.2\n---\n${ingress.replace('name: web,', 'name: b,')}`;
    expect(parseManifests(text, 'a.yaml').documents.map(objectKey)).toEqual(['Ingress/shop/web', 'Ingress/shop/b']);
    const script = `apiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n    ---\n    x\n   \n---\n${ingress}`;
    expect(parseManifests(script, 'a.yaml').errors).toEqual([]);
    expect(parseManifests(script, 'a.yaml').documents.map(({ place }) => place.line)).toEqual([9]);
  });
});

describe('what is wrong', () => {
  test('text that is no YAML names file and line and makes the file unreadable', () => {
    const text = `${ingress}---\nkind: [\n`;
    const parsed = parseManifests(text, 'shop/a.yaml');
    expect(parsed.readable).toBe(false);
    expect(parsed.documents).toEqual([]);
    expect(parsed.errors[0]?.error.line()).toMatch(
      /^HG1001 shop\/a\.yaml:1[34]: does not parse: .*; correct the syntax$/,
    );
  });

  test('one wrong document does not stop the others', () => {
    const wrong = ingress.replace('name: web, namespace', 'name: bad, namespace').replace('Prefix', 'prefix');
    const parsed = parseManifests(`${wrong}---\n${ingress}`, 'a.yaml');
    expect(parsed.documents.map(objectKey)).toEqual(['Ingress/shop/web']);
    expect(parsed.errors.map(({ ref }) => ref?.name)).toEqual(['bad']);
    expect(lines(wrong)).toEqual([
      'HG1002 a.yaml:10 Ingress shop/bad spec.rules[0].http.paths[0].pathType: invalid option: expected one of "Exact"|"Prefix"|"ImplementationSpecific"; correct the value',
    ]);
  });

  test('unknown fields of an Ingress, and missing ones', () => {
    expect(lines(ingress.replace('pathType', 'pathtype'))).toEqual([
      'HG1002 a.yaml:9 Ingress shop/web spec.rules[0].http.paths[0].pathType: invalid option: expected one of "Exact"|"Prefix"|"ImplementationSpecific"; correct the value',
      'HG1002 a.yaml:10 Ingress shop/web spec.rules[0].http.paths[0].pathtype: unknown field; correct its spelling or indentation, or remove it',
    ]);
    expect(lines(ingress.replace('spec:', 'specs:'))).toEqual([
      'HG1002 a.yaml:5 Ingress shop/web specs: unknown field; correct its spelling or indentation, or remove it',
      'HG1002 a.yaml:1 Ingress shop/web spec: is missing; give it (object)',
    ]);
  });

  test('names that cannot be', () => {
    expect(lines(ingress.replace('name: web, namespace: shop', 'name: "We b"'))).toEqual([
      'HG1002 a.yaml:3 Ingress metadata.name: must be an RFC 1123 subdomain; correct the value',
    ]);
    expect(
      parseManifests(ingress.replace('namespace: shop', 'namespace: shop, labels: { a: 1 }'), 'a').errors[0]?.ref,
    ).toEqual({ kind: 'Ingress', namespace: 'shop', name: 'web' });
  });

  test('documents that are no manifests, and old versions', () => {
    expect(lines('replicas: 3\n')).toEqual([
      'HG1002 a.yaml:1 apiVersion: a manifest needs apiVersion and kind; add them, or move the file away',
    ]);
    expect(lines('just text\n')).toEqual([
      'HG1002 a.yaml:1: is not an object with apiVersion and kind; write a Kubernetes manifest, or move the file away',
    ]);
    expect(lines(ingress.replace('networking.k8s.io/v1', 'extensions/v1beta1'))).toEqual([
      'HG1002 a.yaml:1 Ingress shop/web apiVersion: "extensions/v1beta1" is not read; convert it to networking.k8s.io/v1',
    ]);
    expect(lines('apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: { name: a }\n')).toEqual([]);
  });

  test('duplicate keys', () => {
    expect(lines(`${ingress}  rules: []\n`)).toEqual([
      'HG1001 a.yaml:12: does not parse: Map keys must be unique; correct the syntax',
    ]);
  });

  test('a Secret is never quoted', () => {
    expect(lines(secret('data: { tls.key: "hunter2 is no base64" }'))).toEqual([
      'HG1002 a.yaml:4 Secret default/tls data[tls.key]: must be base64; correct the value',
    ]);
    expect(lines(secret('data: hunter2'))).toEqual([
      'HG1002 a.yaml:4 Secret default/tls data: must be an object, not a string; correct the value',
    ]);
    for (const broken of [
      'stringData: { tls.key: "hunter2 }',
      'stringData: { "hunter2" "x" }',
      'stringData: *hunter2',
    ]) {
      const [line = ''] = lines(secret(broken));
      expect(line).toMatch(/^HG1001 a\.yaml:\d/);
      expect(line).not.toContain('hunter2');
    }
  });
});

describe('hostile text', () => {
  test('aliases that multiply are refused', () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
    for (const pair of ['ab', 'bc', 'cd', 'de', 'ef']) {
      const [from, to] = [pair.charAt(0), pair.charAt(1)];
      bomb.push(`${to}: &${to} [${Array.from({ length: 10 }, () => `*${from}`).join(', ')}]`);
    }
    expect(lines(bomb.join('\n'))).toEqual([
      'HG1001 a.yaml:1: does not parse: the document is nested or repeated beyond reason; write it out plainly',
    ]);
  });

  test('nesting without end and cycles are refused', () => {
    expect(lines('['.repeat(200_000))[0]).toMatch(/^HG1001 a\.yaml:1/);
    expect(lines('apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec: &s { ports: [*s] }\n')[0]).toMatch(
      /^HG100[12]/,
    );
  });

  test('a file beyond 4 MiB is refused', () => {
    expect(lines('#'.repeat(4 * 1024 * 1024 + 1))[0]).toContain('larger than 4 MiB');
  });

  test('__proto__ is a key like any other', () => {
    const text =
      'apiVersion: v1\nkind: Service\nmetadata: { name: a, labels: { __proto__: x } }\nspec: { __proto__: { ports: [] } }\n';
    const [document] = parseManifests(text, 'a.yaml').documents;
    expect(document?.name).toBe('a');
    expect(({} as Record<string, unknown>)['ports']).toBeUndefined();
  });

  test('control characters of keys and kinds never reach a message', () => {
    const text = `apiVersion: headgate.dev/v1alpha1\nkind: "a\\e[31m"\nmetadata: { name: a }\n`;
    expect(lines(text)[0]).toContain('"a\\u001b[31m" is no kind of headgate.dev/v1alpha1');
  });
});

describe('Headgate kinds', () => {
  const policy = `apiVersion: headgate.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: shop, namespace: shop, generation: 3 }
spec:
  tiers:
  - holdFor: 1m
    clusters: [{ weight: 90, name: eu }, { name: us, weight: 10 }]
`;

  test('the spec is kept as written and reads back by the same schema', () => {
    const [document] = parseManifests(policy, 'a.yaml').documents;
    if (document?.kind !== 'TrafficPolicy') throw new Error('no policy');
    expect(document.specJson).toBe(
      '{"tiers":[{"clusters":[{"name":"eu","weight":90},{"name":"us","weight":10}],"holdFor":"1m"}]}',
    );
    expect(trafficPolicySpec.parse(JSON.parse(document.specJson))).toEqual(document.spec);
    expect(document.generation).toBe(3n);
  });

  test('weights that sum to 0, and kinds of later versions, are refused by name', () => {
    expect(lines(policy.replace('90', '0').replace('10', '0'))[0]).toMatch(
      /^HG1009 .*TrafficPolicy shop\/shop spec.tiers\[0\].clusters: weights sum to 0; give at least one/,
    );
    expect(lines(policy.replace('TrafficPolicy', '"X\\e[2J"'))).toEqual([
      expect.stringMatching(/^HG1002 a.yaml:2 kind: "X\\u001b\[2J" is no kind of/) as string,
    ]);
    expect(lines(policy.replace('TrafficPolicy', 'AccessPolicy'))).toEqual([
      'HG1002 a.yaml:2 AccessPolicy shop/shop kind: AccessPolicy is not supported by this version; remove it; nothing of it is in force',
    ]);
    expect(lines(policy.replace('v1alpha1', 'v1'))[0]).toContain(
      '"headgate.dev/v1" is not read; use headgate.dev/v1alpha1',
    );
  });

  test('HostClaim and Cluster have no namespace', () => {
    const claim =
      'apiVersion: headgate.dev/v1alpha1\nkind: HostClaim\nmetadata: { name: a }\nspec: { hosts: [a.b], namespaces: [x] }\n';
    expect(parseManifests(claim, 'a').documents.map(objectKey)).toEqual(['HostClaim//a']);
  });
});
