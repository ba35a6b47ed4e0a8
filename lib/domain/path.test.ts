import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PathType } from '../../proto/gen/headgate/v1/configured.ts';
import { matchRoute, normalPath, routePath, validRulePath } from './path.ts';

test.each([
  ['', '/'],
  ['/', '/'],
  ['//', '/'],
  ['/a//b///c', '/a/b/c'],
  ['/a/./b', '/a/b'],
  ['/a/../b', '/b'],
  ['/a//../b', '/b'],
  ['/../../a', '/a'],
  ['/..', '/'],
  ['/.', '/'],
  ['/a/..', '/'],
  ['/a/.', '/a/'],
  ['/a/b/..', '/a/'],
  ['/%61%2e%2E/b', '/a../b'],
  ['/a/%2e%2e/b', '/b'],
  ['/a%2fb', '/a%2Fb'],
  ['/a%20b', '/a%20b'],
  ['/a;v=1/../b', '/b'],
  ['/a;v=1', '/a;v=1'],
  ['/a%zz%', '/a%zz%'],
  ['/%252e', '/%252e'],
  ['/...', '/...'],
  ['a/b', '/a/b'],
])('normalPath of %j is %j', (raw, normal) => expect(normalPath(raw)).toBe(normal));

// Of well-formed paths: a "%" that begins no escape may begin one when what follows it is decoded.
test('normalPath is idempotent, absolute and leaves no dot segment or double slash', () => {
  const piece = fc.constantFrom('/', '.', '..', 'a', 'B', '%2e', '%2F', '%41', '%25', ';', '%7e', '//');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const normal = normalPath(`/${pieces.join('')}`);
      expect(normal).toMatch(/^\//);
      expect(normal).not.toMatch(/\/\/|\/\.\.?(\/|$)/);
      expect(normalPath(normal)).toBe(normal);
    }),
  );
});

test.each([
  ['/a', true],
  ['/a%20b', true],
  ['/a b', false],
  ['/a\u0001', false],
  ['a', false],
  ['/a?b', false],
  ['/a#b', false],
  ['/ä', false],
])('validRulePath of %j is %s', (path, valid) => expect(validRulePath(path)).toBe(valid));

test('a Prefix path is known without its final slash, an Exact one with it', () => {
  expect(routePath(PathType.PREFIX, '/a/')).toBe('/a');
  expect(routePath(PathType.PREFIX, '/')).toBe('/');
  expect(routePath(PathType.EXACT, '/a/')).toBe('/a/');
});

// The table of the Ingress documentation, "Path types: examples".
describe('matchRoute', () => {
  test.each<[('E' | 'P')[], string[], string, string | undefined]>([
    [['P'], ['/'], '/any/thing', '/'],
    [['E'], ['/foo'], '/foo', '/foo'],
    [['E'], ['/foo'], '/bar', undefined],
    [['E'], ['/foo'], '/foo/', undefined],
    [['E'], ['/foo/'], '/foo', undefined],
    [['P'], ['/foo'], '/foo', '/foo'],
    [['P'], ['/foo'], '/foo/', '/foo'],
    [['P'], ['/foo/'], '/foo', '/foo'],
    [['P'], ['/foo/'], '/foo/', '/foo'],
    [['P'], ['/aaa/bb'], '/aaa/bbb', undefined],
    [['P'], ['/aaa/bbb'], '/aaa/bbb', '/aaa/bbb'],
    [['P'], ['/aaa/bbb/'], '/aaa/bbb', '/aaa/bbb'],
    [['P'], ['/aaa/bbb'], '/aaa/bbb/', '/aaa/bbb'],
    [['P'], ['/aaa/bbb'], '/aaa/bbb/ccc', '/aaa/bbb'],
    [['P'], ['/aaa/bbb'], '/aaa/bbbxyz', undefined],
    [['P', 'P'], ['/', '/aaa'], '/aaa/ccc', '/aaa'],
    [['P', 'P', 'P'], ['/', '/aaa', '/aaa/bbb'], '/aaa/bbb', '/aaa/bbb'],
    [['P', 'P', 'P'], ['/', '/aaa', '/aaa/bbb'], '/ccc', '/'],
    [['P'], ['/aaa'], '/ccc', undefined],
    [['P'], ['/Foo'], '/foo', undefined],
  ])('%j %j on %s', (types, paths, path, expected) => {
    const routes = paths.map((p, i) => {
      const pathType = types[i] === 'E' ? PathType.EXACT : PathType.PREFIX;
      return { pathType, path: routePath(pathType, p) };
    });
    expect(matchRoute(routes, path)?.path).toBe(expected);
    expect(matchRoute(routes.toReversed(), path)?.path).toBe(expected);
  });

  test('Exact comes before Prefix of the same path', () => {
    const routes = [
      { pathType: PathType.PREFIX, path: '/foo' },
      { pathType: PathType.EXACT, path: '/foo' },
    ];
    expect(matchRoute(routes, '/foo')?.pathType).toBe(PathType.EXACT);
    expect(matchRoute(routes, '/foo/')?.pathType).toBe(PathType.PREFIX);
  });
});
