import { expect, test } from 'vitest';
import { type Host, PathType, type Route } from '../../proto/gen/headgate/v1/configured.ts';
import { matchRequest } from './match-request.ts';

const route = (id: string, path: string): Route => ({
  id,
  pathType: PathType.PREFIX,
  path,
  contributions: [],
  traffic: undefined,
  backendSettings: undefined,
});
const host = (name: string, routes: Route[], defaultRoute?: Route): Host => ({
  name,
  namespace: 'shop',
  routes,
  defaultRoute,
});

test('the most specific host decides, then rules without a host, then the default backend', () => {
  const hosts = new Map([
    ['a.shop.example', host('a.shop.example', [route('exact', '/cart')])],
    ['*.shop.example', host('*.shop.example', [route('wild', '/')])],
    ['*', host('*', [route('any', '/any')], route('default', '/'))],
  ]);
  const match = (name: string | undefined, path: string) => matchRequest((key) => hosts.get(key), name, path)?.route.id;
  expect(match('a.shop.example', '/x/../cart')).toBe('exact');
  // Not "wild": the exact host's owner has said what it serves.
  expect(match('a.shop.example', '/other')).toBe('default');
  expect(match('b.shop.example', '/other')).toBe('wild');
  expect(match('c.b.shop.example', '/any/1')).toBe('any');
  expect(match(undefined, '/')).toBe('default');
  hosts.delete('*');
  expect(match('a.shop.example', '/other')).toBeUndefined();
});
