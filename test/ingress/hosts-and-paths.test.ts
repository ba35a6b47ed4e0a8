import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { matchRequest } from '../../lib/domain/match-request.ts';
import { requestHost } from '../../lib/domain/host-name.ts';
import { routePath } from '../../lib/domain/path.ts';
import { type Host, PathType } from '../../proto/gen/headgate/v1/configured.ts';
import { exchange } from './clients.ts';
import { ingress, type Path, type PathKind, type Rule, served } from './objects.ts';
import { OneCluster } from './one-cluster.ts';

// Which rule takes a request, as the Ingress API says: concepts "Path types", "Examples" and "Hostname wildcards".

/** Every pod is a Service of its own name, so the pod that answers tells the rule. */
const PODS = ['a', 'b', 'c', 'exact', 'prefix', 'wild', 'root', 'aaa', 'bbb'];

/** The specification's table: kind, paths, request path, and the path that takes it. */
const TABLE: readonly (readonly [PathKind, readonly string[], string, string | undefined])[] = [
  ['Prefix', ['/'], '/', '/'],
  ['Prefix', ['/'], '/any/path', '/'],
  ['Exact', ['/foo'], '/foo', '/foo'],
  ['Exact', ['/foo'], '/bar', undefined],
  ['Exact', ['/foo'], '/foo/', undefined],
  ['Exact', ['/foo/'], '/foo', undefined],
  ['Exact', ['/foo/'], '/foo/', '/foo/'],
  ['Prefix', ['/foo'], '/foo', '/foo'],
  ['Prefix', ['/foo'], '/foo/', '/foo'],
  ['Prefix', ['/foo/'], '/foo', '/foo/'],
  ['Prefix', ['/foo/'], '/foo/', '/foo/'],
  ['Prefix', ['/aaa/bb'], '/aaa/bbb', undefined],
  ['Prefix', ['/aaa/bbb'], '/aaa/bbb', '/aaa/bbb'],
  ['Prefix', ['/aaa/bbb/'], '/aaa/bbb', '/aaa/bbb/'],
  ['Prefix', ['/aaa/bbb'], '/aaa/bbb/', '/aaa/bbb'],
  ['Prefix', ['/aaa/bbb'], '/aaa/bbb/ccc', '/aaa/bbb'],
  ['Prefix', ['/aaa/bbb'], '/aaa/bbbxyz', undefined],
  ['Prefix', ['/', '/aaa'], '/aaa/ccc', '/aaa'],
  ['Prefix', ['/', '/aaa', '/aaa/bbb'], '/aaa/bbb', '/aaa/bbb'],
  ['Prefix', ['/', '/aaa', '/aaa/bbb'], '/ccc', '/'],
  ['Prefix', ['/aaa'], '/ccc', undefined],
  // Case-sensitive, and whole elements for ImplementationSpecific too, which is Prefix here.
  ['Prefix', ['/foo'], '/FOO', undefined],
  ['Exact', ['/foo'], '/Foo', undefined],
  ['Prefix', ['/foo'], '/foo?x=/bar', '/foo'],
  ['Exact', ['/foo'], '/foo?', '/foo'],
  ['ImplementationSpecific', ['/foo'], '/foo/bar', '/foo'],
  ['ImplementationSpecific', ['/foo'], '/foobar', undefined],
  ['ImplementationSpecific', [''], '/x', ''],
];

const tableHosts = TABLE.map(([type, paths], at): Rule => ({
  host: `t${at}.table.example`,
  paths: paths.map((path, position) => ({ path, type, to: PODS[position] ?? '' })),
}));

const prefer = (path: string, type: PathKind, to: string): Path => ({ path, type, to });

/** The rule set of the comparison with the reference matcher: hosts and paths that shadow each other. */
const elements = fc.constantFrom('a', 'b', 'A', 'aa', 'a;v=1', 'x%2Fy', 'x%2fy', '%41', 'a.b', '...', '%');
const rulePaths = fc.oneof(
  fc.constant('/'),
  fc
    .tuple(fc.array(elements, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([parts, slash]) => `/${parts.join('/')}${slash ? '/' : ''}`),
);
const RANDOM_HOSTS = ['one.r.example', 'two.r.example', '*.r.example', '*.two.r.example', 'r.example', undefined];
const SEED = 20_260_101;

interface RandomRule {
  readonly host: string | undefined;
  readonly type: PathKind;
  readonly path: string;
}

/** Rules without two that claim one place. */
const randomRules = (() => {
  const rules = new Map<string, RandomRule>();
  const rule = fc.record({
    host: fc.constantFrom(...RANDOM_HOSTS),
    type: fc.constantFrom<PathKind>('Exact', 'Prefix'),
    path: rulePaths,
  });
  for (const { host, type, path } of fc.sample(rule, { seed: SEED, numRuns: 80 })) {
    rules.set(`${host} ${type} ${routePath(pathType(type), path)}`, { host, type, path });
  }
  return [...rules.values()];
})();
/** Fewer than rules: neighbours have different ones. */
const RANDOM_PODS = Array.from({ length: 37 }, (_, at) => `r${at}`);
const podOf = (at: number): string => RANDOM_PODS[at % RANDOM_PODS.length] ?? '';

function pathType(type: PathKind): PathType {
  return type === 'Exact' ? PathType.EXACT : PathType.PREFIX;
}

/** The hosts as the reference matcher wants them; a route's id is its pod. */
const reference = new Map<string, Host>(
  RANDOM_HOSTS.map((host) => {
    const routes = randomRules.flatMap((rule, at) => {
      const type = pathType(rule.type);
      const route = { id: podOf(at), pathType: type, path: routePath(type, rule.path), contributions: [] };
      return rule.host === host ? [{ ...route, traffic: undefined, backendSettings: undefined }] : [];
    });
    return [host ?? '*', { name: host ?? '*', namespace: 'shop', routes, defaultRoute: undefined }];
  }),
);

let cluster: OneCluster;

beforeAll(async () => {
  cluster = await OneCluster.start([...PODS, ...RANDOM_PODS], (pod) => ({
    services: [...PODS, ...RANDOM_PODS].flatMap((name) => served(name, pod(name))),
    table: [ingress('table', { rules: tableHosts })],
    hosts: [
      ingress('hosts', {
        rules: [
          { host: '*.foo.com', paths: [{ path: '/', to: 'wild' }] },
          { host: 'exact.foo.com', paths: [{ path: '/only', to: 'exact' }] },
          { host: 'UPPER.foo.org', paths: [{ path: '/', to: 'a' }] },
          { host: '*.deep.foo.com', paths: [{ path: '/', to: 'b' }] },
        ],
      }),
    ],
    precedence: [
      ingress('precedence', {
        rules: [
          {
            host: 'mixed.example',
            paths: [
              prefer('/foo', 'Prefix', 'prefix'),
              prefer('/foo', 'Exact', 'exact'),
              prefer('/foo/bar', 'Prefix', 'bbb'),
              prefer('/', 'ImplementationSpecific', 'root'),
              prefer('/x/', 'Exact', 'a'),
              prefer('/x', 'Prefix', 'b'),
            ],
          },
        ],
      }),
    ],
    random: [
      ingress('random', {
        rules: RANDOM_HOSTS.flatMap((host) => {
          const paths = randomRules.flatMap((rule, at) =>
            rule.host === host ? [{ path: rule.path, type: rule.type, to: podOf(at) }] : [],
          );
          return [{ ...(host === undefined ? {} : { host }), paths }];
        }),
      }),
    ],
  }));
  await cluster.serves('t0.table.example', '/', 'a');
  await cluster.serves('mixed.example', '/', 'root');
  await cluster.serves('a.foo.com', '/', 'wild');
});

afterAll(async () => await cluster[Symbol.asyncDispose]());

describe('the specification’s table of paths', () => {
  // Rules without a host belong to the random rules below; "no match" is what they say, or 404.
  test.each(TABLE.map((row, at) => [...row, at] as const))('%s %j: %j', async (_type, paths, asked, taker, at) => {
    const expected = taker === undefined ? notTaken(asked) : PODS[paths.indexOf(taker)];
    expect(await cluster.who(`t${at}.table.example`, asked)).toBe(expected);
  });
});

/** What the rules without a host make of a path that the host did not take. */
function notTaken(path: string): string | number {
  return matchRequest((name) => reference.get(name), undefined, path.replace(/\?.*/, ''))?.route.id ?? 404;
}

describe('hosts', () => {
  test.each([
    ['bar.foo.com', 'wild'],
    ['BAR.Foo.COM', 'wild'],
    ['bar.foo.com:8080', 'wild'],
    ['bar.foo.com.', 'wild'],
    ['bar.foo.com.:80', 'wild'],
    ['upper.foo.org', 'a'],
    ['UPPER.FOO.ORG:1', 'a'],
    ['my_app.foo.com', 'wild'],
    ['x.deep.foo.com', 'b'],
    ['deep.foo.com', 'wild'],
    // One label, no less and no more.
    ['foo.com', undefined],
    ['baz.bar.foo.com', undefined],
    ['barfoo.com', undefined],
    ['.foo.com', undefined],
    ['a!b.foo.com', undefined],
    ['-a.foo.com', undefined],
    ['bar.foo.com.evil.example', undefined],
    ['unknown.example', undefined],
    ['127.0.0.1', undefined],
    ['[::1]:80', undefined],
  ])('%s', async (host, expected) => {
    expect(await cluster.who(host, '/only')).toBe(expected ?? notTaken('/only'));
  });

  test('an exact host goes before a wildcard, and does not fall to it', async () => {
    expect(await cluster.who('exact.foo.com', '/only')).toBe('exact');
    expect(await cluster.who('exact.foo.com', '/other')).toBe(notTaken('/other'));
  });

  test('a request in absolute form is for the host of its target', async () => {
    const reply = await exchange(
      cluster.http,
      'GET http://bar.foo.com/only HTTP/1.1\r\nHost: bar.foo.com\r\nConnection: close\r\n\r\n',
    );
    expect(reply).toContain('"pod":"wild"');
  });

  test.each([
    ['no Host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: bar.foo.com\r\nHost: upper.foo.org\r\nConnection: close\r\n\r\n'],
    [
      'a target for another host',
      'GET http://upper.foo.org/ HTTP/1.1\r\nHost: bar.foo.com\r\nConnection: close\r\n\r\n',
    ],
    ['a fragment in the target', 'GET /only#x HTTP/1.1\r\nHost: bar.foo.com\r\nConnection: close\r\n\r\n'],
  ])('%s reaches no named host', async (_what, text) => {
    expect(await exchange(cluster.http, text)).not.toMatch(/"pod":"(wild|a)"/);
  });
});

test.each([
  ['/foo', 'exact'],
  ['/foo/', 'prefix'],
  ['/foo/b', 'prefix'],
  ['/foo/bar', 'bbb'],
  ['/foo/bar/', 'bbb'],
  ['/foo/bars', 'prefix'],
  ['/fooo', 'root'],
  ['/', 'root'],
  ['/x', 'b'],
  ['/x/', 'a'],
  ['/x/y', 'b'],
])('exact before prefix, longest wins: %s', async (path, expected) => {
  expect(await cluster.who('mixed.example', path)).toBe(expected);
});

describe('paths are matched in their normal form and passed on as they came', () => {
  test.each([
    ['//foo', 'exact'],
    ['/./foo', 'exact'],
    ['/x/../foo', 'exact'],
    ['/x/%2e%2e/foo', 'exact'],
    ['/x/.%2E/foo', 'exact'],
    ['/%66oo', 'exact'],
    ['/../../foo', 'exact'],
    ['/foo/.', 'prefix'],
    ['/foo/bar/..', 'prefix'],
    ['/foo//bar', 'bbb'],
    ['/foo%2Fbar', 'root'],
    ['/foo%2fbar', 'root'],
    ['/foo;v=1', 'root'],
    ['/foo/;v=1/bar', 'prefix'],
    ['/foo/..;/bar', 'prefix'],
    ['/foo%', 'root'],
    ['/foo%zz/../foo', 'exact'],
    ['/foo%00', 'root'],
    ['/foo?/../x', 'exact'],
    ['/x/../foo?a=%2e%2e', 'exact'],
  ])('%s', async (path, expected) => {
    const { status, echo } = await cluster.get('mixed.example', path);
    expect([status, echo?.pod, echo?.url]).toEqual([200, expected, path]);
  });
});

test('HAProxy chooses as the reference matcher does, over random hosts and paths', async () => {
  const piece = fc.oneof(
    { weight: 3, arbitrary: elements },
    fc.constantFrom(
      '',
      '.',
      '..',
      '%2e',
      '%2E%2e',
      '%2F',
      ';',
      '%61',
      '%zz',
      '..;',
      'a b'.replace(' ', '%20'),
      '~',
      '%7E',
    ),
  );
  const ask = fc.record({
    host: fc.constantFrom(
      'one.r.example',
      'two.r.example',
      'ONE.r.Example.:81',
      'three.r.example',
      'x.two.r.example',
      'y.x.two.r.example',
      'r.example',
      'under_score.r.example',
      '.r.example',
      'other.example',
    ),
    path: fc.oneof(
      fc.array(piece, { maxLength: 5 }).map((parts) => `/${parts.join('/')}`),
      fc.constantFrom(...randomRules.map(({ path }) => path)),
      fc
        .tuple(
          fc.constantFrom(...randomRules.map(({ path }) => path)),
          fc.constantFrom('/', '/a', 'a', '//', '/..', '/.'),
        )
        .map((parts) => parts.join('')),
    ),
  });
  const asks = fc.sample(ask, { seed: SEED, numRuns: 600 });
  const chosen = await Promise.all(asks.map(async ({ host, path }) => await cluster.who(host, path)));
  const expected = asks.map(
    ({ host, path }) => matchRequest((name) => reference.get(name), requestHost(host), path)?.route.id ?? 404,
  );
  const told = (answers: readonly unknown[]) => asks.map((asked, at) => ({ ...asked, served: answers[at] }));
  expect(told(chosen)).toEqual(told(expected));
  // The comparison is worth nothing where all goes one way.
  expect(new Set(chosen).size).toBeGreaterThan(20);
});

test('nothing of this needed a reload', async () => expect(await cluster.reloads()).toBe(0));
