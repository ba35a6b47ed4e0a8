import { array, assert, asyncProperty, constantFrom, tuple } from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hostId } from '../../agent/haproxy/model/names.ts';
import { testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { backend, endpoints, host } from '../../agent/haproxy/testing/resources.fixture.ts';
import { Rig } from '../../agent/haproxy/testing/rig.fixture.ts';
import { requestHost } from '../../lib/domain/host-name.ts';
import { matchRequest } from '../../lib/domain/match-request.ts';
import { Host } from '../../proto/gen/headgate/v1/configured.ts';
import { figure } from './figure.ts';
import { exchangeBytes } from './raw-client.ts';
import { type StrictBackend, strictBackend } from './strict-backend.ts';

const COUNT = 2_000;

const at = (name: string) => ({ eu: `d/${name}/80` });
const hosts = [
  host('shop.example', [
    { path: '/', at: at('root') },
    { path: '/admin', at: at('admin') },
    { path: '/admin/public', at: at('public') },
    { path: '/exact', exact: true, at: at('exact') },
    { path: '/a;b', at: at('semicolon') },
    { path: '/a%2Fb', at: at('escaped') },
  ]),
  host('*.example', [{ path: '/', at: at('wild') }]),
  host('rival.example', [{ path: '/only', at: at('rival') }]),
  host('*', [{ path: '/any', at: at('any') }]),
];
const bodies = new Map(hosts.map(({ name, body }) => [name, Host.decode(body)]));
const names = ['root', 'admin', 'public', 'exact', 'semicolon', 'escaped', 'wild', 'rival', 'any'];

const backends = new Map<string, StrictBackend>();
const stack = new AsyncDisposableStack();
let rig: Rig;

beforeAll(async () => {
  for (const name of names) backends.set(name, stack.use(await strictBackend()));
  const upserts = [...backends].flatMap(([name, { port }]) => [
    backend(`d/${name}/80`),
    endpoints(`d/${name}`, port, ['127.0.0.1']),
  ]);
  rig = stack.use(await Rig.start('eu', await testCa(), { upserts: [...hosts, ...upserts], removals: [] }));
});

afterAll(() => stack.disposeAsync());

/** @returns the backend that saw a request; undefined: none did. @throws Error where more than one did */
async function servedBy(target: string, hostHeader: string): Promise<string | undefined> {
  await exchangeBytes(rig.http, `GET ${target} HTTP/1.1\r\nHost: ${hostHeader}\r\nConnection: close\r\n\r\n`);
  const seen = [...backends].flatMap(([name, one]) => {
    const { requests, faults } = one.take();
    if (faults.length > 0) throw new Error(faults.join());
    // Whatever the rules matched, it goes on as the client wrote it.
    if (requests.some((request) => request.target !== target)) throw new Error(JSON.stringify(requests));
    return requests.map(() => name);
  });
  if (seen.length > 1) throw new Error(`served ${seen.length} times`);
  return seen[0];
}

function reference(target: string, hostHeader: string): string | undefined {
  const path = target.split('?', 1)[0] ?? '';
  const match = matchRequest((name) => bodies.get(name), requestHost(hostHeader), path);
  return match?.route.contributions[0]?.backend.split('/')[1];
}

/** Without what stands behind a colon, and final dots: they name no other host, whatever they are. */
function named(hostHeader: string): string {
  return hostHeader
    .replace(/[\0\t]$/, '')
    .replace(/:.*$/, '')
    .replace(/\.+$/, '');
}

const segments = [
  'admin',
  'Admin',
  '%61dmin',
  '%41dmin',
  'ad%6din',
  'ad%6Din',
  'public',
  '%70ublic',
  'exact',
  'EXACT',
  'a;b',
  'a%3bb',

  '',
  '.',
  '..',
  '...',
  '%2e',
  '%2E%2e',
  '.%2e',
  '%2e.',
  '..;',
  '.;',
  ';',
  ';a=b',
  '..%3b',
  'admin;x',
  ';/admin',
  '%2f',
  '%2F',
  'a%2fb',
  'a%2Fb',
  '%5c',
  '\\',
  '..\\',
  '%00',
  '%',
  '%zz',
  '%2',
  '%25',
  '%252e',
  '%252e%252e',
  '%c0%ae',

  '~',
  '%7e',
  '%7E',
  '%2d',
  '%20',
  '+',
  '%0a',
  '%0d%0a',
  '%23',
  '%3f',
  "'",
  '"',
  '$',
  '{',
  '|',
  '^',
  '`',
  'any',
  'only',
];

test(`promise-27: ${COUNT} paths in any disguise reach the route of the reference matcher or none`, async () => {
  const path = array(constantFrom(...segments), { minLength: 1, maxLength: 6 }).map((parts) => `/${parts.join('/')}`);
  const target = tuple(path, constantFrom('', '?', '?x=/admin', '?/../admin')).map((parts) => parts.join(''));
  const one = tuple(target, constantFrom('shop.example', 'x.example', 'rival.example', 'other.test'));
  let [same, refused] = [0, 0];
  await assert(
    asyncProperty(one, async ([written, name]) => {
      const [seen, wanted] = [await servedBy(written, name), reference(written, name)];
      if (seen === wanted) same++;
      else refused++;
      expect([undefined, wanted]).toContain(seen);
    }),
    { numRuns: COUNT, seed: 27 },
  );
  figure(`promise-27: ${COUNT} paths, ${same} as the reference matcher says, ${refused} refused, 0 elsewhere`);
  // What is refused is what no client of good faith sends.
  expect(refused).toBeLessThan(COUNT / 10);
});

test('promise-27: no spelling of Host reaches another host’s route', async () => {
  const spellings = [
    'shop.example',
    'SHOP.example',
    'shop.example.',
    'shop.example..',
    '.shop.example',
    'shop..example',
    'shop.example:',

    'shop.example:80',
    'shop.example:evil',
    'shop.example:80:80',
    'shop.example.:80',
    'shop.example:80.',
    ':80',
    '',

    'evil@shop.example',
    'shop.example@evil',
    'shop.example/x',
    'shop.example#x',
    'shop.example#',
    'shop.example!',
    hostId('*.example'),
    hostId('*'),
    'shop.example?x',
    '%73hop.example',

    'shop.example,rival.example',
    'shop.example, rival.example',
    'shop.example rival.example',
    'shop.example\t',
    '*',

    '*.example',
    'x.example',
    'a.b.example',
    'example',
    '[::1]',
    '[shop.example]',
    '127.0.0.1',
    'shop.example\0',
    '\0shop.example',

    'shop.example\x7f',
    'shop.ex\xe4mple',
    'xn--shp-5na.example',
    'shop_.example',
    '-.example',
    "'shop.example'",
    '$(shop).example',

    '%[env(HOME)].example',
    '${HOME}.example',
    'shop.example;',
    'shop\\.example',
    `${'a'.repeat(300)}.example`,
  ];
  const wrong: string[] = [];
  for (const spelling of spellings) {
    for (const path of ['/', '/admin', '/only', '/any']) {
      const seen = await servedBy(path, spelling);
      const allowed = [undefined, reference(path, spelling), reference(path, named(spelling))];
      if (!allowed.includes(seen)) wrong.push(`${JSON.stringify(spelling)} ${path}: ${String(seen)}`);
    }
  }
  figure(`promise-27: ${spellings.length} spellings of Host, ${wrong.length} served by a route that is not theirs`);
  expect(wrong).toEqual([]);
});
