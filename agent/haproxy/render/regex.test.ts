import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { matchRoute, normalPath, routePath } from '../../../lib/domain/path.ts';
import { regexSource } from '../../../lib/domain/path-regex/path-regex.fixture.ts';
import { type PathRegex, readPathRegex, withinHost } from '../../../lib/domain/path-regex/path-regex.ts';
import { type Host, Host as HostMessage, PathType } from '../../../proto/gen/headgate/v1/configured.ts';
import type { Resource } from '../../../lib/sync/index.ts';
import { testCa } from '../testing/certificates.fixture.ts';
import { backend, endpoints, host } from '../testing/resources.fixture.ts';
import { Rig, type TestBackend, testBackend } from '../testing/rig.fixture.ts';

const PODS = ['p0', 'p1', 'p2', 'p3', 'p4'];
const SEED = 20_261_124;

let rig: Rig;
const stack = new AsyncDisposableStack();

const at = (pod: string) => ({ eu: `shop/${pod}/80` });
const regex = (path: string, pod: string) => ({ path: readPathRegex(path).text, regex: true, at: at(pod) });
const who = async (name: string, path: string): Promise<string> => {
  const { status, headers } = await rig.get(name, path);
  return String(headers['x-served-by'] ?? status);
};

beforeAll(async () => {
  const pods: TestBackend[] = await Promise.all(PODS.map(async (name) => stack.use(await testBackend(name))));
  const upserts = PODS.flatMap((name, i) => [
    backend(`shop/${name}/80`),
    endpoints(`shop/${name}`, pods[i]?.port ?? 0, ['127.0.0.1']),
  ]);
  rig = stack.use(await Rig.start('eu', await testCa(), { upserts, removals: [] }));
});

afterAll(async () => await stack.disposeAsync());

test('Exact goes before regular expressions, the longest of them first, and they before Prefix', async () => {
  const shop = host('shop.example', [
    { path: '/', at: at('p0') },
    { path: '/api/v1/exact', exact: true, at: at('p1') },
    regex('/api/v[0-9]+/.*', 'p2'),
    regex('/api/v[0-9]+/users/[^/]+', 'p3'),
    { path: '/api/v2/users/long/prefix', at: at('p4') },
  ]);
  await rig.apply({ upserts: [shop], removals: [] });
  expect(await who('shop.example', '/')).toBe('p0');
  expect(await who('shop.example', '/api/vx/')).toBe('p0');
  expect(await who('shop.example', '/api/v1/exact')).toBe('p1');
  expect(await who('shop.example', '/api/v1/exact/')).toBe('p2');
  expect(await who('shop.example', '/api/v12/x')).toBe('p2');
  expect(await who('shop.example', '/api//./v12/%75sers/me')).toBe('p3');
  expect(await who('shop.example', '/api/v2/users/long/prefix')).toBe('p2');
  expect(await who('shop.example', '/xapi/v2/')).toBe('p0');
});

test('without another path a host with regular expressions says 404, or asks the rules without a host', async () => {
  await rig.apply({ upserts: [host('only.example', [regex('/[ab]', 'p1')])], removals: [] });
  expect(await who('only.example', '/a')).toBe('p1');
  expect(await who('only.example', '/c')).toBe('404');
  await rig.apply({ upserts: [host('*', [{ path: '/c', at: at('p2') }])], removals: [] });
  expect(await who('only.example', '/c')).toBe('p2');
  await rig.apply({ upserts: [], removals: [{ type: 'host', name: '*' }] });
});

test('a wildcard host may have them', async () => {
  const wild = host('*.wild.example', [regex(String.raw`/\d{1,3}`, 'p1'), { path: '/', at: at('p0') }]);
  await rig.apply({ upserts: [wild], removals: [] });
  expect(await who('a.wild.example', '/123')).toBe('p1');
  expect(await who('a.wild.example', '/1234')).toBe('p0');
  expect(await who('wild.example', '/123')).toBe('404');
});

test('they come, change places and go at runtime', async () => {
  const set = async (...routes: Parameters<typeof host>[1]) =>
    await rig.apply({ upserts: [host('turn.example', routes)], removals: [] });
  const root = { path: '/', at: at('p0') };
  await set(root);
  expect(await who('turn.example', '/abc')).toBe('p0');
  await set(root, regex('/a.*', 'p1'));
  expect(await who('turn.example', '/abc')).toBe('p1');
  await set(root, regex('/a.*', 'p1'), regex('/a[a-z]+', 'p2'));
  expect(await who('turn.example', '/abc')).toBe('p2');
  expect(await who('turn.example', '/a1')).toBe('p1');
  // The same expressions, other endpoints.
  await set(root, regex('/a.*', 'p3'), regex('/a[a-z]+', 'p4'));
  expect(await who('turn.example', '/abc')).toBe('p4');
  await set(root, regex('/a.*', 'p3'));
  expect(await who('turn.example', '/abc')).toBe('p3');
  await set(root);
  expect(await who('turn.example', '/abc')).toBe('p0');
  await rig.apply({ upserts: [], removals: [{ type: 'host', name: 'turn.example' }] });
  expect(await who('turn.example', '/abc')).toBe('404');
});

test('every character of the subset survives the runtime API', async () => {
  const odd = host('odd.example', [regex(String.raw`/\\\^\$\.\|\?\*\+\(\)\[\]\{\};'"!&%2F[\^\]\-\\]`, 'p1')]);
  await rig.apply({ upserts: [odd], removals: [] });
  expect(await who('odd.example', String.raw`/\^$.|?*+()[]{};'"!&%2f]`.replace('?', '%3F'))).toBe('404');
  const plain = host('odd.example', [regex(String.raw`/\\\^\$\.\|\*\+\(\)\[\]\{\};'"!&%2F[\^\]\-\\]`, 'p1')]);
  await rig.apply({ upserts: [plain], removals: [] });
  expect(await who('odd.example', String.raw`/\^$.|*+()[]{};'"!&%2f]`)).toBe('p1');
  await rig.apply({ upserts: [], removals: [{ type: 'host', name: 'odd.example' }] });
  expect(await rig.cli('show map maps/regex.map')).not.toContain('odd');
});

const accepted = regexSource.filter((source) => {
  try {
    return readPathRegex(source).text !== '';
  } catch {
    return false;
  }
});
const plainPath = fc
  .array(fc.constantFrom('a', 'b', '0', 'aa', 'ab0', ''), { minLength: 1, maxLength: 4 })
  .map((parts) => `/${parts.join('/')}`);
const shapes = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: accepted.map((path) => ({ path: readPathRegex(path).text, regex: true })) },
      { weight: 1, arbitrary: plainPath.map((path) => ({ path: routePath(PathType.EXACT, path), exact: true })) },
      { weight: 1, arbitrary: plainPath.map((path) => ({ path: routePath(PathType.PREFIX, path) })) },
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((routes) => [...new Map(routes.map((route) => [JSON.stringify(route), route])).values()]);

test('HAProxy agrees with the reference on random expressions and paths', async () => {
  // Two generations for each host: the second comes at runtime over the first.
  const generations = fc.sample(fc.tuple(shapes, shapes), { numRuns: 60, seed: SEED });
  const asked = fc.sample(
    fc
      .array(fc.constantFrom('a', 'b', '0', '/', 'aa', '/a', '%61', 'B'), { maxLength: 8 })
      .map((parts) => `/${parts.join('')}`),
    { numRuns: 60, seed: SEED },
  );
  const resourceOf = (i: number, routes: (typeof generations)[number][0]): Resource =>
    host(
      `r${i}.random.example`,
      routes.map((shape, at_) => ({ ...shape, at: at(PODS[at_ % PODS.length] ?? '') })),
    );
  let taken = 0;
  for (const turn of [0, 1] as const) {
    const hosts = generations.map((pair, i) => resourceOf(i, pair[turn]));
    const { rejections } = await rig.apply({ upserts: hosts, removals: [] });
    expect(rejections).toEqual([]);
    const bodies = hosts.map((one): Host => HostMessage.decode(one.body));
    for (const [i, body] of bodies.entries()) {
      for (const path of asked.filter((_, n) => n % 6 === i % 6)) {
        const route = matchRoute(body.routes, normalPath(path));
        if (route?.pathType === PathType.REGEX) taken++;
        const expected = route?.contributions[0]?.backend.split('/')[1] ?? '404';
        expect(`${body.name}${path} ${await who(body.name, path)}`).toBe(`${body.name}${path} ${expected}`);
      }
    }
  }
  expect(taken).toBeGreaterThan(100);
});

test('the dearest expressions that are allowed cost a path of 10 KB little', async () => {
  const dearest: PathRegex[] = Array.from({ length: 32 }, (_, i) => readPathRegex(`/.*a.{1,5}b${i}`));
  const kept = withinHost(dearest);
  const routes = kept.map(({ text }) => ({ path: text, regex: true, at: at('p1') }));
  await rig.apply({ upserts: [host('dear.example', [...routes, { path: '/', at: at('p0') }])], removals: [] });
  const paths = [
    `/${'a'.repeat(10_000)}`,
    `/${'ab'.repeat(5_000)}`,
    `/${'a1'.repeat(5_000)}`,
    `/${'/a'.repeat(5_000)}`,
  ];
  const time = async (name: string): Promise<number> => {
    const began = performance.now();
    for (const path of paths) expect(await who(name, path)).toBe('p0');
    return (performance.now() - began) / paths.length;
  };
  await rig.apply({ upserts: [host('cheap.example', [{ path: '/', at: at('p0') }])], removals: [] });
  await time('cheap.example');
  const cheap = await time('cheap.example');
  const dear = await time('dear.example');
  expect(dear - cheap).toBeLessThan(100);
});
