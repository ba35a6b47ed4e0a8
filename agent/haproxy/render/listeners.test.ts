import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Resource } from '../../../lib/sync/index.ts';
import { combinedPem } from '../model/pem.ts';
import { type TestCa, testCa, type TestLeaf } from '../testing/certificates.fixture.ts';
import { backend, certificate, endpoints, host, peer, split } from '../testing/resources.fixture.ts';
import { fetchAnswer, Rig, type TestBackend, testBackend } from '../testing/rig.fixture.ts';
import { setCertificate, setGatewayCa } from './commands.ts';

let ca: TestCa;
let leaf: TestLeaf;
let shop: TestBackend;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  ca = await testCa();
  leaf = await ca.leaf('shop.example');
  shop = stack.use(await testBackend('shop'));
});

afterAll(() => stack.disposeAsync());

function resources(port = shop.port): Resource[] {
  return [
    host('shop.example', [{ path: '/', at: { eu: 'd/shop/80' } }]),
    backend('d/shop/80'),
    endpoints('d/shop', port, ['127.0.0.1']),
    certificate('d/tls', ['shop.example'], leaf),
  ];
}

const PROXY = 'PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\r\n';
const REQUEST = 'GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n';

async function answer(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

test.each([{ tlsPassthrough: false }, { tlsPassthrough: true }])(
  'PROXY protocol gives the client’s address over HTTP and HTTPS, %j',
  async ({ tlsPassthrough }) => {
    await using rig = await Rig.start(
      'eu',
      ca,
      { upserts: resources(), removals: [] },
      { proxyProtocol: true, tlsPassthrough },
    );
    const plain = connect(rig.http, '127.0.0.1');
    plain.write(PROXY + REQUEST);
    expect(await answer(plain)).toMatch(/^HTTP\/1.1 200/);
    expect(shop.requests.at(-1)?.headers).toMatchObject({
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-proto': 'http',
      'x-forwarded-port': '443',
    });
    const raw = connect(rig.https, '127.0.0.1');
    raw.write(PROXY);
    const tls = connectTls({ socket: raw, servername: 'shop.example', ca: ca.certificate });
    await once(tls, 'secureConnect');
    tls.write(REQUEST);
    expect(await answer(tls)).toMatch(/^HTTP\/1.1 200/);
    expect(shop.requests.at(-1)?.headers).toMatchObject({
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-proto': 'https',
      'x-forwarded-port': '443',
    });
  },
);

test('behind the pass-through front, HTTPS and certificates work as without it', async () => {
  await using rig = await Rig.start('eu', ca, { upserts: resources(), removals: [] }, { tlsPassthrough: true });
  const request = { tls: true, path: '/', headers: { host: 'shop.example' }, servername: 'shop.example' };
  const first = await fetchAnswer({ ...request, port: rig.https, ca: ca.certificate, rejectUnauthorized: true });
  expect(first.body).toBe('shop');
  expect(shop.requests.at(-1)?.headers).toMatchObject({
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-port': String(rig.https),
  });
});

test('HTTP/2 from clients', async () => {
  await using rig = await Rig.start('eu', ca, { upserts: resources(), removals: [] });
  const session = connectHttp2('https://shop.example', {
    createConnection: () =>
      connectTls({
        port: rig.https,
        host: '127.0.0.1',
        servername: 'shop.example',
        ca: ca.certificate,
        ALPNProtocols: ['h2'],
      }),
  });
  const stream = session.request({ ':path': '/x/../' });
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  expect(headers).toMatchObject({ ':status': 200, 'x-served-by': 'shop' });
  stream.resume();
  await once(stream, 'end');
  session.close();
});

test('WebSocket through the entry, and through the gateway hop', async () => {
  const server = createServer();
  const sockets = new Set<Socket>();
  server.on('upgrade', (_request, socket: Socket) => {
    sockets.add(socket);
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
    );
    socket.pipe(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const crossing = host('ws.example', [{ path: '/', at: { us: 'd/shop/80' } }]);
  await using us = await Rig.start('us', ca, {
    upserts: [...resources(port), crossing, peer('eu', [])],
    removals: [],
  });
  await using eu = await Rig.start('eu', ca, {
    upserts: [
      ...resources(port),
      crossing,
      peer('us', [`127.0.0.1:${us.gateway}`]),
      split('ws.example', [{ path: '/', shares: [{ cluster: 'us', share: 100_000 }] }]),
    ],
    removals: [],
  });
  for (const name of ['shop.example', 'ws.example']) {
    const socket = connect(eu.http, '127.0.0.1');
    socket.write(
      `GET / HTTP/1.1\r\nHost: ${name}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    );
    const [head] = (await once(socket, 'data')) as [Buffer];
    // Over the hop's HTTP/2 the reason phrase is lost, as that protocol has none.
    expect([name, head.toString().slice(0, 12)]).toEqual([name, 'HTTP/1.1 101']);
    socket.write('ping');
    const [echo] = (await once(socket, 'data')) as [Buffer];
    expect(echo.toString()).toBe('ping');
    socket.destroy();
  }
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test('an upgrade that a pod behind the gateway hop declines is none to the client, and HTTP/2 is never offered', async () => {
  const crossing = host('far.example', [{ path: '/', at: { us: 'd/shop/80' } }]);
  await using us = await Rig.start('us', ca, { upserts: [...resources(), crossing, peer('eu', [])], removals: [] });
  await using eu = await Rig.start('eu', ca, {
    upserts: [
      ...resources(),
      crossing,
      peer('us', [`127.0.0.1:${us.gateway}`]),
      split('far.example', [{ path: '/', shares: [{ cluster: 'us', share: 100_000 }] }]),
    ],
    removals: [],
  });
  const ask = (name: string, protocol: string) =>
    eu.get(name, '/', {
      connection: 'Upgrade, X-Forwarded-For',
      upgrade: protocol,
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    });
  expect((await ask('far.example', 'websocket')).status).toBe(200);
  expect((await ask('shop.example', 'websocket')).status).toBe(200);
  expect((await ask('shop.example', 'h2c')).status).toBe(200);
  expect(shop.requests.at(-1)?.headers).not.toHaveProperty('upgrade');
  expect(shop.requests.at(-1)?.headers['connection'] ?? '').not.toContain('forwarded');
});

test('a gateway with another cluster’s name gets nothing', async () => {
  await using us = await Rig.start('us', ca, { upserts: [...resources(), peer('eu', [])], removals: [] });
  await using eu = await Rig.start('eu', ca, {
    upserts: [
      host('far.example', [{ path: '/', at: { ap: 'd/shop/80' } }]),
      peer('ap', [`127.0.0.1:${us.gateway}`]),
      split('far.example', [{ path: '/', shares: [{ cluster: 'ap', share: 100_000 }] }]),
    ],
    removals: [],
  });
  expect((await eu.get('far.example', '/')).status).toBe(503);
});

test('new gateway credentials are taken in both directions at runtime', async () => {
  await using rig = await Rig.start('eu', ca, { upserts: [peer('eu', [])], removals: [] });
  const next = await testCa();
  const [own, caller] = [await next.leaf('eu.gateway.headgate'), await next.leaf('eu.gateway.headgate')];
  const call = () =>
    fetchAnswer({
      port: rig.gateway,
      tls: true,
      path: '/headgate/probe',
      cert: caller.certificate,
      key: caller.key,
      ca: next.certificate,
      rejectUnauthorized: true,
      servername: 'eu.gateway.headgate',
    });
  await expect(call()).rejects.toThrow(/./);
  for (const command of setCertificate('gateway/gateway.pem', combinedPem(own.certificate, own.key)))
    await rig.run(command);
  for (const command of setGatewayCa(`${next.certificate}\n`)) await rig.run(command);
  expect((await call()).status).toBe(200);
});
