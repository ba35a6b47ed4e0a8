import { expect, test } from 'vitest';
import { matchEndpoint, read } from './endpoint.ts';
import { operatorRole } from './caller.ts';
import { findToken } from './operator-tokens.ts';
import { hash } from 'node:crypto';
import { splitUrl } from './read/explain.ts';
import { parseKind } from './read/kinds.ts';

const table = [read('/v1/get/:kind', () => undefined), read('/v1/status', () => undefined)];

test('a path finds its endpoint and parameters, or the methods that it has', () => {
  expect(matchEndpoint(table, 'GET', '/v1/get/a%2Fb')).toMatchObject({ parameters: { kind: 'a/b' } });
  expect(matchEndpoint(table, 'PUT', '/v1/status')).toEqual({ allowed: ['GET'] });
  for (const path of ['/', '/v1/get', '/v1/get/%zz', '/v1/get/a/b', '/V1/status']) {
    expect(matchEndpoint(table, 'GET', path)).toEqual({ allowed: [] });
  }
});

test.each([
  ['URI:spiffe://fleet/operator/admin', 'admin'],
  ['URI:spiffe://fleet/operator/viewer', 'viewer'],
  ['URI:spiffe://other/operator/admin', undefined],
  ['URI:spiffe://fleet/cluster/eu/agent', undefined],
  ['URI:spiffe://fleet/operator/admin, DNS:hub', undefined],
  ['DNS:"URI:spiffe://fleet/operator/admin"', undefined],
  [undefined, undefined],
])('%s has the role %s', (names, role) => {
  expect(operatorRole(names, 'fleet')).toBe(role);
});

test('a bearer token is known by its digest', () => {
  const token = { name: 'x', role: 'viewer' as const, sha256: hash('sha256', 'secret') };
  expect(findToken([token], 'secret')).toBe(token);
  expect(findToken([token], 'Secret')).toBeUndefined();
});

test.each([
  ['https://shop.example/cart?x=1#y', { host: 'shop.example', path: '/cart' }],
  ['shop.example:8443', { host: 'shop.example:8443', path: '/' }],
  ['http://shop.example//a/../b%2e', { host: 'shop.example', path: '//a/../b%2e' }],
])('%s is asked for as a client would', (url, parts) => {
  expect(splitUrl(url)).toEqual(parts);
});

test.each(['', '/cart', 'https://', 'http://user@host/', 'not a url', 'http://a.example/b c', 'ftp://a.example/'])(
  '%j is no URL',
  (url) => {
    expect(() => splitUrl(url)).toThrow(/is no URL/);
  },
);

test('kinds go by singular, plural and policy kind', () => {
  expect(['Route', 'ingress', 'INGRESSES', 'policy'].map((text) => parseKind(text).kind)).toEqual([
    'routes',
    'ingresses',
    'ingresses',
    'policies',
  ]);
  expect(['trafficpolicies', 'TrafficPolicy', 'hostclaims'].map((text) => parseKind(text).policyKind)).toEqual([
    'TrafficPolicy',
    'TrafficPolicy',
    'HostClaim',
  ]);
});
