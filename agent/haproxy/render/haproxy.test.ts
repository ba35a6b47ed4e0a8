import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { normalPath } from '../../../lib/domain/path.ts';
import { clusterTag } from '../model/names.ts';
import { type TestCa, testCa, type TestLeaf } from '../testing/certificates.fixture.ts';
import { backend, certificate, endpoints, host, peer, route, split } from '../testing/resources.fixture.ts';
import { fetchAnswer, Rig, type TestBackend, testBackend } from '../testing/rig.fixture.ts';

let ca: TestCa;
let eu: Rig;
let us: Rig;
let shopLeaf: TestLeaf;
const served: Record<string, TestBackend> = {};
const stack = new AsyncDisposableStack();

const port = (name: string): number => served[name]?.port ?? 0;

/** A split of both.example between eu and us. */
const shares = (euShare: number, rest: object = {}) =>
  split('both.example', [
    {
      path: '/',
      shares: [
        { cluster: 'eu', share: euShare },
        { cluster: 'us', share: 100_000 - euShare },
      ].filter(({ share }) => share > 0),
      ...rest,
    },
  ]);

/** Asks us's gateway with a certificate of that name. */
const call = async (name: string, headers: Record<string, string>, path = '/') => {
  const leaf = await ca.leaf(name);
  return fetchAnswer({ port: us.gateway, tls: true, path, headers, cert: leaf.certificate, key: leaf.key });
};

/** Common name of the certificate that eu shows for an SNI. */
const common = (servername: string): Promise<string> => {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: eu.https, host: '127.0.0.1', servername, rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
};

beforeAll(async () => {
  ca = await testCa();
  for (const name of ['shop', 'cart', 'wild', 'any', 'rest', 'us-shop']) {
    served[name] = stack.use(await testBackend(name));
  }
  us = stack.use(
    await Rig.start('us', ca, {
      upserts: [
        host('both.example', [{ path: '/', at: { eu: 'd/shop/80', us: 'd/us-shop/80' } }]),
        backend('d/us-shop/80'),
        endpoints('d/us-shop', port('us-shop'), ['127.0.0.1']),
        peer('eu', ['127.0.0.1:1']),
      ],
      removals: [],
    }),
  );
  shopLeaf = await ca.leaf('shop.example', ['shop.example', 'rival.example']);
  eu = stack.use(
    await Rig.start('eu', ca, {
      upserts: [
        host('shop.example', [
          { path: '/', at: { eu: 'd/shop/80' } },
          { path: '/cart', at: { eu: 'd/cart/http' } },
          { path: '/cart', exact: true, at: { eu: 'd/shop/80' } },
          { path: '/empty', at: { eu: 'd/empty/80' } },
        ]),
        host('narrow.example', [{ path: '/only', at: { eu: 'd/shop/80' } }]),
        host('*.example', [{ path: '/', at: { eu: 'd/wild/80' } }]),
        host('*', [{ path: '/any', at: { eu: 'd/any/80' } }], { path: '/', at: { eu: 'd/rest/80' } }),
        host('both.example', [{ path: '/', at: { eu: 'd/shop/80', us: 'd/us-shop/80' } }]),
        ...['shop', 'wild', 'any', 'rest', 'empty'].map((name) => backend(`d/${name}/80`)),
        backend('d/cart/http'),
        ...['shop', 'cart', 'wild', 'any', 'rest'].map((name) => endpoints(`d/${name}`, port(name), ['127.0.0.1'])),
        peer('us', [`127.0.0.1:${us.gateway}`]),
        certificate('d/shop-tls', ['shop.example'], shopLeaf),
      ],
      removals: [],
    }),
  );
}, 60_000);

afterAll(() => stack.disposeAsync());

describe('routing', () => {
  test.each([
    ['shop.example', '/', 'shop'],
    ['SHOP.example.:8080', '/x', 'shop'],
    ['shop.example', '/cart/', 'cart'],
    ['shop.example', '/cart/1?a=/../..', 'cart'],
    ['shop.example', '/cart', 'shop'],
    ['shop.example', '/cart?x', 'shop'],
    ['shop.example', '/carts', 'shop'],
    ['shop.example', '/Cart/', 'shop'],
    ['shop.example', '/x/../cart/1', 'cart'],
    ['shop.example', '/%63art/1', 'cart'],
    ['shop.example', '/cart%2F1', 'shop'],
    ['a.example', '/deep', 'wild'],
    ['a.b.example', '/deep', 'rest'],
    ['my_shop.example', '/deep', 'wild'],
    ['.example', '/deep', 'rest'],
    ['narrow.example', '/only/this', 'shop'],
    ['narrow.example', '/else', 'rest'],
    ['narrow.example', '/any', 'any'],
    ['unknown.test', '/any/x', 'any'],
    ['unknown.test', '/', 'rest'],
    ['[::1]:80', '/', 'rest'],
  ])('%s%s is served by %s', async (host, path, by) => {
    const answer = await eu.get(host, path);
    expect([answer.status, answer.body]).toEqual([200, by]);
  });

  test('a route without endpoints answers 503, no route at all 404, in words that name nothing', async () => {
    const empty = await eu.get('shop.example', '/empty');
    expect([empty.status, empty.body, empty.headers['content-type']]).toEqual([503, 'no endpoint\n', 'text/plain']);
    const none = await us.get('nobody.test', '/');
    expect([none.status, none.body, none.headers['content-type']]).toEqual([404, 'no route\n', 'text/plain']);
  });

  test('absolute form and an empty path mean the same route', async () => {
    expect((await eu.get('shop.example', 'http://shop.example/cart/1')).body).toBe('cart');
    expect((await eu.get('shop.example', 'http://shop.example')).body).toBe('shop');
  });

  test('the request goes on as it came, with headers of our own making', async () => {
    const answer = await eu.get('shop.example', '/cart/%2e%2e/cart//1?q=//%61', {
      'X-Headgate-Route': 'forged',
      'X-Forwarded-For': '6.6.6.6',
      'X-Forwarded-Prefix': '/forged',
    });
    expect(answer.body).toBe('cart');
    expect(answer.headers['x-headgate-leak']).toBeUndefined();
    const seen = served['cart']?.requests.at(-1);
    expect(seen?.url).toBe('/cart/%2e%2e/cart//1?q=//%61');
    expect(Object.fromEntries(Object.entries(seen?.headers ?? {}).filter(([name]) => name.startsWith('x-')))).toEqual({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'shop.example',
      'x-forwarded-port': String(eu.http),
    });
  });
});

test('every path is matched in the normal form that lib/domain gives it', async () => {
  const pieces = ['/', '.', '..', 'a', 'B', '%2e', '%2F', '%41', '%', '%7', ';', '%7e', '//', '%c3', '?', '~', '%zz'];
  // A fixed walk over combinations: the same corpus in every run.
  const paths = ['/', '//', '/..', '/%', '/a%zz/%61', '/%252e'];
  for (let i = 0; i < 150; i++) {
    let path = '/';
    for (let n = i * 7919 + 13; n > 0; n = Math.floor(n / pieces.length)) path += pieces[n % pieces.length];
    paths.push(path);
  }
  const normal = new Set(paths.map((path) => normalPath(path.split('?', 1)[0] ?? '')));
  const routes = [...normal].map((path, i) => ({
    path,
    exact: true,
    at: { eu: `d/${i % 2 === 0 ? 'shop' : 'cart'}/http` },
  }));
  await using rig = await Rig.start('eu', ca, {
    upserts: [
      host('paths.example', routes),
      backend('d/shop/http'),
      backend('d/cart/http'),
      endpoints('d/shop', served['shop']?.port ?? 0, ['127.0.0.1']),
      endpoints('d/cart', served['cart']?.port ?? 0, ['127.0.0.1']),
    ],
    removals: [],
  });
  const index = new Map([...normal].map((path, i) => [path, i]));
  for (const path of paths) {
    const answer = await rig.get('paths.example', path);
    const wanted = (index.get(normalPath(path.split('?', 1)[0] ?? '')) ?? 0) % 2 === 0 ? 'shop' : 'cart';
    expect([path, answer.status, answer.body]).toEqual([path, 200, wanted]);
  }
});

describe('split', () => {
  test('shares seen are shares asked, before and after one map write', async () => {
    for (const asked of [0.7, 0.1]) {
      const change = await eu.apply({ upserts: [shares(asked * 100_000)], removals: [] });
      expect(change.ops.map(({ op }) => op.kind)).toEqual(['map-set']);
      const n = 300;
      let own = 0;
      for (let i = 0; i < n; i++) if ((await eu.get('both.example', '/')).body === 'shop') own++;
      expect(Math.abs(own - n * asked)).toBeLessThan(4 * Math.sqrt(n * asked * (1 - asked)) + 1);
    }
  });

  test('a dead target is skipped: its share falls to the next, then to the fallbacks', async () => {
    await eu.apply({ upserts: [shares(100_000, { fallbacks: ['us'] })], removals: [] });
    expect((await eu.get('both.example', '/')).body).toBe('shop');
    await eu.apply({ upserts: [endpoints('d/shop', served['shop']?.port ?? 0, [])], removals: [] });
    expect((await eu.get('both.example', '/')).body).toBe('us-shop');
    await eu.apply({ upserts: [shares(50_000)], removals: [] });
    for (let i = 0; i < 10; i++) expect((await eu.get('both.example', '/')).body).toBe('us-shop');
    await eu.apply({ upserts: [endpoints('d/shop', served['shop']?.port ?? 0, [])], removals: [] });
  });

  test('without a share, the fallbacks serve', async () => {
    await eu.apply({ upserts: [split('both.example', [{ path: '/', fallbacks: ['eu', 'us'] }])], removals: [] });
    expect((await eu.get('both.example', '/')).body).toBe('us-shop');
  });

  test('a pod that dies is skipped after one failed connection', async () => {
    const pod = await testBackend('pod');
    await eu.apply({ upserts: [shares(100_000, { fallbacks: ['us'] })], removals: [] });
    await eu.apply({ upserts: [endpoints('d/shop', pod.port, ['127.0.0.1'])], removals: [] });
    expect((await eu.get('both.example', '/')).body).toBe('pod');
    await pod[Symbol.asyncDispose]();
    const failed: number[] = [];
    for (let i = 0; i < 10; i++) {
      const { status } = await eu.get('both.example', '/');
      if (status !== 200) failed.push(status);
    }
    expect(failed.length).toBeLessThanOrEqual(1);
    await eu.apply({ upserts: [endpoints('d/shop', served['shop']?.port ?? 0, ['127.0.0.1'])], removals: [] });
  });

  test('affinity: a client stays with its cluster through a change of weights', async () => {
    await eu.apply({ upserts: [shares(0, { affinity: true, sticky: ['eu', 'us'] })], removals: [] });
    const first = await eu.get('both.example', '/');
    const cookie = first.headers['set-cookie']?.[0] ?? '';
    expect(cookie).toMatch(new RegExp(`^headgate=${clusterTag('us')}\\.\\d{1,5}; Path=/; HttpOnly; SameSite=Lax$`));
    await eu.apply({ upserts: [shares(100_000, { affinity: true, sticky: ['eu', 'us'] })], removals: [] });
    const pair = cookie.split(';', 1)[0] ?? '';
    const again = await eu.get('both.example', '/', { cookie: pair });
    expect([again.body, again.headers['set-cookie']]).toEqual(['us-shop', undefined]);
    // Out of the split for good: drawn anew, and told so.
    await eu.apply({ upserts: [shares(100_000, { affinity: true, sticky: ['eu'] })], removals: [] });
    const moved = await eu.get('both.example', '/', { cookie: pair });
    expect([moved.body, moved.headers['set-cookie']?.[0]]).toEqual([
      'shop',
      expect.stringContaining(`headgate=${clusterTag('eu')}.${pair.split('.')[1]};`),
    ]);
    for (const forged of ['', 'x', '.', 'p00.1', `${clusterTag('us')}.-7`, '%00.%00']) {
      expect((await eu.get('both.example', '/', { cookie: `headgate=${forged}` })).status).toBe(200);
    }
    expect((await eu.get('shop.example', '/')).headers['set-cookie']).toBeUndefined();
  });
});

describe('gateway', () => {
  const id = route('both.example', { path: '/', at: {} }).id;
  test('serves a known route to a known gateway, from its own endpoints', async () => {
    const answer = await call('eu.gateway.headgate', { 'x-headgate-route': id, 'x-forwarded-for': '9.9.9.9' });
    expect([answer.status, answer.body]).toEqual([200, 'us-shop']);
    const seen = served['us-shop']?.requests.at(-1)?.headers;
    expect([seen?.['x-forwarded-for'], seen?.['x-headgate-route']]).toEqual(['9.9.9.9', undefined]);
  });

  test('refuses strangers and unknown routes', async () => {
    expect((await call('mallory.gateway.headgate', { 'x-headgate-route': id })).status).toBe(403);
    expect((await call('eu.gateway.headgate', { 'x-headgate-route': '0123456789abcdef' })).status).toBe(503);
    expect((await call('eu.gateway.headgate', {})).status).toBe(503);
    await expect(fetchAnswer({ port: us.gateway, tls: true, path: '/' })).rejects.toThrow(
      /certificate required|ECONNRESET|EPIPE|hang up/,
    );
    const other = await (await testCa()).leaf('eu.gateway.headgate');
    await expect(
      fetchAnswer({ port: us.gateway, tls: true, path: '/', cert: other.certificate, key: other.key }),
    ).rejects.toThrow(/alert|ECONNRESET|EPIPE|hang up/);
  });

  test('answers probes, with and without a route; a client cannot reach them through its entry', async () => {
    expect((await call('eu.gateway.headgate', {}, '/headgate/probe')).status).toBe(200);
    expect((await call('eu.gateway.headgate', { 'x-headgate-route': id }, '/headgate/probe')).status).toBe(200);
    expect((await call('eu.gateway.headgate', { 'x-headgate-route': 'x' }, '/headgate/probe')).status).toBe(503);
    await eu.apply({
      upserts: [split('both.example', [{ path: '/', shares: [{ cluster: 'us', share: 100_000 }] }])],
      removals: [],
    });
    expect((await eu.get('both.example', '/headgate/probe')).body).toBe('us-shop');
  });

  test('the client’s address and host survive the hop, and the entry’s gateway is checked', async () => {
    await eu.get('both.example', '/hop');
    expect(served['us-shop']?.requests.at(-1)).toMatchObject({
      url: '/hop',
      headers: { host: 'both.example', 'x-forwarded-for': '127.0.0.1', 'x-forwarded-host': 'both.example' },
    });
  });

  test('a route that went away is known for as long as it lingers', async () => {
    const gone = await us.apply({ upserts: [], removals: [{ type: 'host', name: 'both.example' }] });
    expect(gone.lingering).toEqual([id]);
    expect((await call('eu.gateway.headgate', { 'x-headgate-route': id })).status).toBe(200);
    const forgotten = us.planner.forget(gone.lingering);
    expect(forgotten.ops.map(({ op }) => op.kind)).toEqual(['map-delete']);
    await us.run({ text: `del map maps/gateway.map ${id}`, payload: false, accepts: /^$/ });
    expect((await call('eu.gateway.headgate', { 'x-headgate-route': id })).status).toBe(503);
  });
});

describe('certificates', () => {
  test('serve the names in their entry and no other that they hold', async () => {
    expect(await common('shop.example')).toBe('shop.example');
    expect(await common('rival.example')).toBe('default.headgate.invalid');
    expect(await common('nobody.test')).toBe('default.headgate.invalid');
  });

  test('are added, replaced and removed at runtime', async () => {
    const [first, second] = [await ca.leaf('one.example', ['a.new.example']), await ca.leaf('two.example')];
    const hosts = ['a.new.example', 'b.new.example', '*.w.example'].map((name) =>
      host(name, [{ path: '/', at: { eu: 'd/shop/80' } }]),
    );
    await eu.apply({
      upserts: [...hosts, certificate('d/new', ['a.new.example', '*.w.example'], first)],
      removals: [],
    });
    expect([await common('a.new.example'), await common('x.w.example')]).toEqual(['one.example', 'one.example']);
    expect(await common('y.x.w.example')).toBe('default.headgate.invalid');
    await eu.apply({ upserts: [certificate('d/new', ['a.new.example', '*.w.example'], second)], removals: [] });
    expect(await common('a.new.example')).toBe('two.example');
    await eu.apply({ upserts: [certificate('d/new', ['b.new.example'], second)], removals: [] });
    expect([await common('a.new.example'), await common('b.new.example')]).toEqual([
      'default.headgate.invalid',
      'two.example',
    ]);
    await eu.apply({ upserts: [], removals: [{ type: 'own-certificate', name: 'd/new' }] });
    expect(await common('b.new.example')).toBe('default.headgate.invalid');
  });

  test('over TLS the cookie is Secure and the scheme is told', async () => {
    await eu.apply({
      upserts: [
        split('shop.example', [{ path: '/', shares: [{ cluster: 'eu', share: 100_000 }], affinity: true, sticky: [] }]),
      ],
      removals: [],
    });
    const answer = await fetchAnswer({
      port: eu.https,
      tls: true,
      path: '/',
      servername: 'shop.example',
      headers: { host: 'shop.example' },
    });
    expect(answer.headers['set-cookie']?.[0]).toMatch(/; Secure$/);
    expect(served['shop']?.requests.at(-1)?.headers['x-forwarded-proto']).toBe('https');
  });
});
