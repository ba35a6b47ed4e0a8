import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  Algorithm,
  BackendProtocol,
  CheckType,
  ProxyProtocol,
  RetryOn,
} from '../../proto/gen/headgate/v1/configured.ts';
import { parseServers } from './runtime/observe.ts';
import { testCa } from './testing/certificates.fixture.ts';
import { PlaneBench, until } from './testing/plane.fixture.ts';
import { Pods, slices, treated, type Settings } from './testing/pods.fixture.ts';
import { fetchAnswer } from './testing/rig.fixture.ts';

// Every setting at real endpoints: their slots are in the first configuration, their servers come at runtime.

const ca = await testCa();
const leaf = await ca.leaf('inner.example');
const stranger = await testCa();
const asked: string[] = [];
let greeting: Buffer = Buffer.alloc(0);
let checkedWell = true;
const held: (() => void)[] = [];
const posts: string[] = [];

const settings: Readonly<Record<string, Settings>> = {
  hash: { balance: { algorithm: Algorithm.HASH, hashHeader: 'X-User' } },
  biscuit: { balance: { algorithm: Algorithm.HASH, hashCookie: 'uid' } },
  least: { balance: { algorithm: Algorithm.LEAST_CONNECTIONS } },
  random: { balance: { algorithm: Algorithm.RANDOM } },
  source: { balance: { algorithm: Algorithm.HASH, hashSource: true } },
  late: { timeouts: { responseMs: 300n, tunnelMs: 5_000n, connectMs: 1_000n } },
  narrow: { limits: { connections: 1, queue: 1 }, timeouts: { queueMs: 10_000n } },
  retry: { retries: { attempts: 3, on: [RetryOn.EMPTY_RESPONSE] } },
  health: {
    healthCheck: { type: CheckType.HTTP, path: "/he'al%th?a=$b", host: 'h.example', intervalMs: 200n, rise: 1 },
  },
  grpc: {
    protocol: BackendProtocol.HTTP2,
    healthCheck: { type: CheckType.GRPC, grpcService: 'shop.Cart', intervalMs: 200n },
  },
  h2c: { protocol: BackendProtocol.HTTP2, healthCheck: { type: CheckType.HTTP, intervalMs: 200n } },
  slow: { slowStartMs: 60_000n },
  cookie: { endpointCookie: true },
  tls: { tls: { hostname: 'inner.example', ca: ca.certificate }, healthCheck: { type: CheckType.HTTP } },
  misnamed: { tls: { hostname: 'other.example', ca: ca.certificate } },
  mistrusted: { tls: { hostname: 'inner.example', ca: stranger.certificate } },
  public: { tls: { hostname: 'inner.example' } },
  any: { tls: { insecure: true }, protocol: BackendProtocol.HTTP1 },
  proxy: { proxyProtocol: ProxyProtocol.V2, healthCheck: { type: CheckType.NONE } },
  floor: { outlier: { consecutiveErrors: 1, serverErrors: true, ejectForMs: 60_000n, maxEjectedPercent: 50 } },
  ejected: { outlier: { consecutiveErrors: 2, serverErrors: true, ejectForMs: 60_000n } },
};

const stack = new AsyncDisposableStack();
let bench: PlaneBench;
let pods: Pods;

const named = async (name: string): Promise<number> => await pods.http((_, response) => void response.end(name));
const get = async (name: string, headers: Record<string, string> = {}, method = 'GET') =>
  await fetchAnswer({ port: bench.http, path: '/', method, headers: { host: `${name}.example`, ...headers } });

/** Operational state of a service's servers by port: `true` where it serves. */
async function states(name: string): Promise<Map<number, boolean>> {
  const backends = parseServers(await bench.cli('show servers state'));
  const all = [...backends.values()].flatMap((servers) => [...servers.values()]);
  const own = new Set(endpointsOf[name]);
  return new Map(all.filter(({ port }) => own.has(port)).map(({ port, down }) => [port, !down]));
}

const endpointsOf: Record<string, number[]> = {};

async function bodies(name: string): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let i = 0; i < 40; i++) seen.add((await get(name)).body);
  return seen;
}

beforeAll(async () => {
  pods = stack.use(new Pods());
  bench = stack.use(await PlaneBench.make());
  const three = async (): Promise<number[]> => [await named('a'), await named('b'), await named('c')];
  const failing = async (): Promise<number> => await pods.http((_, response) => void response.writeHead(500).end('no'));
  Object.assign(endpointsOf, {
    hash: await three(),
    biscuit: await three(),
    random: await three(),
    source: await three(),
    cookie: await three(),
    least: [await pods.http((_, response) => void held.push(() => void response.end('held'))), await named('free')],
    late: [await pods.http(() => {})],
    narrow: [await pods.http((_, response) => void held.push(() => void response.end('held')))],
    retry: [
      await pods.http(({ method, socket }) => {
        posts.push(method ?? '');
        socket.destroy();
      }),
      await named('good'),
    ],
    health: [
      await pods.http(({ url, headers }, response) => {
        if (headers.host === 'h.example') {
          asked.push(url ?? '');
          response.writeHead(checkedWell ? 200 : 503);
        }
        response.end('checked');
      }),
      await named('other'),
    ],
    grpc: [await pods.grpc(1, asked), await pods.grpc(2)],
    h2c: [await pods.h2c()],
    tls: [await pods.tls(leaf)],
    slow: [await named('old')],
    proxy: [await pods.tcp((bytes) => (greeting = bytes))],
    floor: [await failing(), await failing(), await failing(), await failing()],
    ejected: [await failing(), await named('well')],
  });
  for (const name of ['misnamed', 'mistrusted', 'public', 'any']) endpointsOf[name] = endpointsOf['tls'] ?? [];
  await bench.start(Object.entries(settings).flatMap(([name, one]) => treated(name, one)));
  await bench.apply(Object.entries(endpointsOf).flatMap(([name, ports]) => slices(name, ports)));
}, 60_000);

afterAll(() => stack.disposeAsync());

test('what comes to slots of the first configuration needs no reload', () => {
  expect(bench.plane.status().reloads).toEqual(new Map());
});

test.each([
  ['hash', (user: string) => ({ 'x-user': user })],
  ['biscuit', (user: string) => ({ cookie: `uid=${user}` })],
])('%s: one client stays at one endpoint, and clients are spread', async (name, headersOf) => {
  const seen = new Set<string>();
  for (let user = 0; user < 24; user++) {
    const first = (await get(name, headersOf(`u${user}`))).body;
    seen.add(first);
    for (let i = 0; i < 3; i++) expect((await get(name, headersOf(`u${user}`))).body).toBe(first);
  }
  expect(seen).toEqual(new Set(['a', 'b', 'c']));
});

test('hash by source: one address, one endpoint; random: all of them', async () => {
  expect((await bodies('source')).size).toBe(1);
  expect(await bodies('random')).toEqual(new Set(['a', 'b', 'c']));
});

test('least connections avoids an endpoint that is busy', async () => {
  // One after another, until one is held: the free endpoint may answer before the next is sent.
  let last: ReturnType<typeof get> | undefined;
  for (let isFree = true; isFree;) {
    last = get('least');
    const onHold = until(
      async () => held.length,
      (count) => count > 0,
    );
    isFree = await Promise.race([last.then(() => true), onHold.then(() => false)]);
  }
  for (let i = 0; i < 10; i++) expect((await get('least')).body).toBe('free');
  for (const end of held.splice(0)) end();
  expect((await last)?.body).toBe('held');
});

test('a response that does not begin in time is 504', async () => {
  const began = performance.now();
  expect((await get('late')).status).toBe(504);
  expect(performance.now() - began).toBeLessThan(5_000);
});

test('beyond the connections and the queue of an endpoint requests get 503 at once', async () => {
  const first = get('narrow');
  await until(
    async () => held.length,
    (count) => count === 1,
  );
  const second = get('narrow');
  await until(
    async () => await bench.cli('show stat'),
    (csv) => csv.split('\n').some((line) => /^s\d+,BACKEND,1,/.test(line)),
  );
  expect(await get('narrow')).toMatchObject({ status: 503, body: 'queue full\n' });
  held.splice(0).forEach((end) => end());
  await until(
    async () => held.length,
    (count) => count === 1,
  );
  held.splice(0).forEach((end) => end());
  expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([200, 200]);
});

test('an empty response is tried again for GET and not for POST', async () => {
  for (let i = 0; i < 6; i++) expect((await get('retry')).body).toBe('good');
  expect(posts).toContain('GET');
  const statuses = [];
  for (let i = 0; i < 6; i++) statuses.push((await get('retry', { 'content-length': '0' }, 'POST')).status);
  expect(new Set(statuses)).toEqual(new Set([200, 502]));
});

test('an endpoint whose HTTP check fails gets no request until it succeeds', async () => {
  await until(
    async () => asked,
    (seen) => seen.includes("/he'al%th?a=$b"),
  );
  checkedWell = false;
  await until(
    async () => await states('health'),
    (seen) => [...seen.values()].includes(false),
  );
  for (let i = 0; i < 10; i++) expect((await get('health')).body).toBe('other');
  checkedWell = true;
  await until(
    async () => (await get('health')).body,
    (body) => body === 'checked',
  );
});

test('a gRPC health check takes SERVING for well and nothing else', async () => {
  const [serving = 0, not = 0] = endpointsOf['grpc'] ?? [];
  await until(
    async () => await states('grpc'),
    (seen) => seen.get(serving) === true && seen.get(not) === false,
  );
  expect(asked).toContain('shop.Cart');
});

test('HTTP/2 without TLS, and its check', async () => {
  expect((await get('h2c')).body).toBe('HTTP/2.0');
  const line = new RegExp(String.raw`,L7OK,200,.*,127\.0\.0\.1:${endpointsOf['h2c']?.[0] ?? 0},`);
  await until(
    async () => await bench.cli('show stat'),
    (csv) => line.test(csv),
  );
});

test('TLS to endpoints: by the right name and CA, by any where so asked, else not', async () => {
  expect((await get('tls')).body).toBe('inner.example HTTP/2.0');
  expect((await get('any')).body).toMatch(/HTTP\/1\.1$/);
  for (const name of ['misnamed', 'mistrusted', 'public'])
    expect([name, (await get(name)).status]).toEqual([name, 503]);
});

test('a cookie keeps a client at its endpoint', async () => {
  const { body, headers } = await get('cookie');
  const [cookie = ''] = headers['set-cookie'] ?? [];
  expect(cookie).toMatch(/^headgate-endpoint=[0-9a-f]{16};.*HttpOnly/);
  const [pair = ''] = cookie.split(';');
  for (let i = 0; i < 8; i++) expect((await get('cookie', { cookie: pair })).body).toBe(body);
});

test('the PROXY protocol tells the endpoint who the client is', async () => {
  expect((await get('proxy')).status).toBe(200);
  expect(greeting.subarray(0, 12).toString('latin1')).toBe('\r\n\r\n\0\r\nQUIT\n');
});

test('an endpoint that answers 500 is taken out', async () => {
  const { seen } = await until(
    async () => await bodies('ejected'),
    (all) => all.size === 1,
  );
  expect(seen).toEqual(new Set(['well']));
});

test('not more endpoints are out than may be, even if all fail', async () => {
  let sent = 0;
  const end = performance.now() + 2_000;
  while (performance.now() < end) {
    expect([500, 503]).toContain((await get('floor')).status);
    sent++;
  }
  expect(sent).toBeGreaterThan(20);
  await until(
    async () => [...(await states('floor')).values()].filter(Boolean).length,
    (up) => up >= 2,
  );
  expect((await get('floor')).status).toBe(500);
});

test('another agent takes over what runs without a reload, and a reload changes nothing', async () => {
  await bench.leave();
  await bench.start([
    ...Object.entries(settings).flatMap(([name, one]) => treated(name, one)),
    ...Object.entries(endpointsOf).flatMap(([name, ports]) => slices(name, ports)),
  ]);
  expect(bench.plane.status().reloads).toEqual(new Map());
  const { body, headers } = await get('cookie');
  await bench.apply(treated('another', { retries: { attempts: 7, on: [] } }));
  expect(bench.plane.status().reloads).toEqual(new Map([['backend-settings', 1]]));
  const [pair = ''] = (headers['set-cookie']?.[0] ?? '').split(';');
  for (let i = 0; i < 4; i++) expect((await get('cookie', { cookie: pair })).body).toBe(body);
  expect((await get('tls')).body).toBe('inner.example HTTP/2.0');
  expect((await get('late')).status).toBe(504);
  expect((await get('misnamed')).status).toBe(503);
});

test('a new endpoint comes to its share slowly', async () => {
  // The old one was loaded from a file, and so began with all of its own.
  const young = await named('young');
  await bench.apply(slices('slow', [...(endpointsOf['slow'] ?? []), young]));
  let fresh = 0;
  for (let i = 0; i < 60; i++) if ((await get('slow')).body === 'young') fresh++;
  expect(fresh).toBeLessThan(20);
  expect(fresh).toBeGreaterThan(0);
});
