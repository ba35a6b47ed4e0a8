import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Manifest } from '../../../lib/manifest/manifest.ts';
import { parseManifests } from '../../../lib/manifest/parse.ts';
import { Certificate } from '../../../proto/gen/headgate/v1/configured.ts';
import type { SourceChange } from '../source.ts';
import { Translator } from './translator.ts';

const now = Date.parse('2026-01-01T00:00:00Z');

function documents(text: string): readonly Manifest[] {
  return parseManifests(text, 'a.yaml').documents;
}

function ingress(name: string, service: string, extra = ''): string {
  return `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name}, namespace: shop${extra} }
spec:
  rules:
  - host: ${name}.example
    http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: ${service}, port: { number: 80 } } } }] }
`;
}

function service(name: string): string {
  return `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: shop }\nspec: { ports: [{ port: 80 }] }\n`;
}

function slice(name: string, of: string, address = '10.0.0.1'): string {
  return `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}, namespace: shop, labels: { kubernetes.io/service-name: ${of} } }
addressType: IPv4
ports: [{ port: 8080 }]
endpoints: [{ addresses: [${address}] }]
`;
}

function told({ report, own }: SourceChange): string[] {
  const set = [...report.upserts, ...own.upserts].map(({ type, name }) => `+ ${type} ${name}`);
  const gone = [...report.removals, ...own.removals].map(({ type, name }) => `- ${type} ${name}`);
  return [...set, ...gone].sort();
}

function shop(): Translator {
  const translator = new Translator({ folder: true });
  const text = ingress('a', 'web') + ingress('b', 'web') + service('web') + service('other') + slice('web-1', 'web');
  translator.apply({ set: documents(text) }, now);
  return translator;
}

describe('a change tells only what it changed', () => {
  test('an endpoint: its slice and the count', () => {
    const change = shop().apply({ set: documents(slice('web-1', 'web', '10.0.0.2')) }, now);
    expect(told(change)).toEqual(['+ endpoints shop/web-1']);
    const more = shop().apply({ set: documents(slice('web-2', 'web', '10.0.0.2')) }, now);
    expect(told(more)).toEqual(['+ endpoints shop/web-2', '+ service shop/web']);
  });

  test('the same object again: nothing', () => {
    expect(told(shop().apply({ set: documents(ingress('a', 'web') + service('web')) }, now))).toEqual([]);
  });

  test('a Service that is routed to for the first time, and one for the last time', () => {
    const translator = shop();
    expect(told(translator.apply({ set: documents(ingress('a', 'other')) }, now))).toEqual([
      '+ ingress shop/a',
      '+ service shop/other',
    ]);
    expect(told(translator.apply({ set: documents(ingress('b', 'other')) }, now))).toEqual([
      '+ ingress shop/b',
      '- endpoints shop/web-1',
      '- service shop/web',
    ]);
  });

  test('a Service that goes is missed by each of its Ingresses', () => {
    const web = { kind: 'Service', namespace: 'shop', name: 'web' };
    expect(told(shop().apply({ deleted: [web] }, now)).filter((line) => line.includes('problem'))).toEqual([
      '+ problem HG1003/Ingress/shop/a#spec.rules[0].http.paths[0].backend.service.name',
      '+ problem HG1003/Ingress/shop/b#spec.rules[0].http.paths[0].backend.service.name',
    ]);
  });

  test('a slice that moves to another Service leaves the first', () => {
    const translator = shop();
    translator.apply({ set: documents(ingress('b', 'other')) }, now);
    expect(told(translator.apply({ set: documents(slice('web-1', 'other')) }, now))).toEqual([
      '+ endpoints shop/web-1',
      '+ service shop/other',
      '+ service shop/web',
    ]);
  });

  test('a key that protects takes effect at once', () => {
    const protecting = ingress('a', 'web', ', annotations: { haproxy.org/allow-list: 10.0.0.0/8 }');
    expect(told(shop().apply({ set: documents(protecting) }, now))).toEqual([
      '+ ingress shop/a',
      '+ problem HG1010/Ingress/shop/a#metadata.annotations[haproxy.org/allow-list]',
    ]);
  });

  test('an API server has no loopback endpoints and no Ingress without a class', () => {
    const translator = new Translator({ folder: false });
    const classed = ingress('a', 'web', ', annotations: { kubernetes.io/ingress.class: headgate }');
    const text = classed + ingress('b', 'web') + service('web') + slice('web-1', 'web', '127.0.0.1');
    expect(told(translator.apply({ set: documents(text) }, now))).toEqual([
      '+ endpoints shop/web-1',
      '+ ingress shop/a',
      '+ problem HG1002/EndpointSlice/shop/web-1#endpoints[0].addresses[0]',
      '+ service shop/web',
    ]);
  });
});

function text(name: string): string {
  return readFileSync(join(import.meta.dirname, 'testdata', `${name}.in.yaml`), 'utf8');
}

describe('certificates', () => {
  test('a Secret that cannot be used any more keeps its last good certificate', () => {
    const translator = new Translator({ folder: true });
    const good = documents(text('20-tls'));
    translator.apply({ set: good }, now);
    const mismatch = documents(text('21-tls-wrong')).find(({ name }) => name === 'mismatch');
    if (mismatch?.kind !== 'Secret') throw new Error('no Secret');
    const bad = { ...mismatch, name: 'ec' };
    expect(told(translator.apply({ set: [bad] }, now))).toEqual(['+ problem HG1004/Secret/shop/ec#data[tls.key]']);
    expect(told(translator.apply({ set: good }, now))).toEqual(['- problem HG1004/Secret/shop/ec#data[tls.key]']);
    expect(told(translator.apply({ deleted: [bad] }, now))).toContain('- own-certificate shop/ec');
  });

  test('time alone tells that one has expired', () => {
    const translator = new Translator({ folder: true });
    const before = Date.parse('2020-06-01T00:00:00Z');
    translator.apply({ set: documents(text('22-tls-expired')) }, before);
    expect(told(translator.apply({}, before + 1))).toEqual([]);
    expect(told(translator.apply({}, now))).toEqual(['+ problem HG1004/Secret/shop/old#data[tls.crt]']);
  });

  test('the key is in nothing that goes up', () => {
    const change = new Translator({ folder: true }).apply({ set: documents(text('20-tls')) }, now);
    const keys = change.own.upserts
      .filter(({ type }) => type === 'own-certificate')
      .map(({ body }) => Certificate.decode(body).privateKey.split('\n')[1] ?? '');
    expect(keys.length).toBe(2);
    for (const { body } of change.report.upserts) {
      for (const key of keys) expect(Buffer.from(body).includes(key)).toBe(false);
    }
  });
});

function problems({ report }: SourceChange): string[] {
  return report.upserts.flatMap(({ type, name }) => (type === 'problem' && name.includes('tls') ? [name] : []));
}

describe('Secrets that are looked for only when they are named', () => {
  const named = ingress('web', 'web').replace(
    '  rules:',
    '  ingressClassName: headgate\n  tls: [{ secretName: tls }]\n  rules:',
  );
  const ourClass =
    'apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: { name: headgate }\nspec: { controller: headgate.dev/ingress }\n';
  test('are not missing before somebody looked, and not when they are named anew', () => {
    const translator = new Translator({ folder: false, secretsOnDemand: true });
    expect(problems(translator.apply({ set: documents(`${ourClass}${named}`) }, now))).toEqual([]);
    expect(translator.takeNamedSecrets()).toEqual(new Set(['shop/tls']));
    expect(translator.takeNamedSecrets()).toBeUndefined();
    const absent = { kind: 'Secret', namespace: 'shop', name: 'tls' };
    const missing = 'HG1003/Ingress/shop/web#spec.tls[0].secretName';
    expect(problems(translator.apply({ deleted: [absent] }, now))).toEqual([missing]);

    translator.apply({ deleted: [{ kind: 'Ingress', namespace: 'shop', name: 'web' }] }, now);
    expect(translator.takeNamedSecrets()).toEqual(new Set());
    translator.apply({ deleted: [absent] }, now);
    expect(problems(translator.apply({ set: documents(named) }, now))).toEqual([]);
  });

  test('that may not be read are a problem of whoever names them, until they may', () => {
    const translator = new Translator({ folder: false, secretsOnDemand: true });
    translator.apply({ set: documents(`${ourClass}${named}`) }, now);
    const fault = { code: 'HG2006', message: 'may not be read', remedy: 'grant it' } as const;
    const told = translator.apply({ unreadable: new Map([['shop/tls', fault]]) }, now);
    expect(problems(told)).toEqual(['HG2006/Ingress/shop/web#spec.tls[0].secretName']);
    const mended = translator.apply({ unreadable: new Map([['shop/tls', undefined]]) }, now);
    expect(mended.report.removals.map(({ name }) => name)).toEqual(['HG2006/Ingress/shop/web#spec.tls[0].secretName']);
  });
});
