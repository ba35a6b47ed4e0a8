import { hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestAuthority, testAuthority } from './certificates.ts';
import { type Answer, exchange, type Handshake, handshake, Http2, upgrade } from './clients.ts';
import { ingress, secret, served } from './objects.ts';
import { OneCluster } from './one-cluster.ts';
import { DOWNLOAD, type Echo, WEBSOCKET_GUID } from './pods.ts';

// What goes through: HTTP/1.1 and HTTP/2, upgrades, bodies, and headers on their way to the pod and back.

const HOST = 'shop.example';
const MIB = 1 << 20;

let authority: TestAuthority;
let cluster: OneCluster;

beforeAll(async () => {
  authority = await testAuthority();
  const pair = await authority.leaf([HOST]);
  cluster = await OneCluster.start(['web', 'other'], (pod) => ({
    services: [...served('web', pod('web')), ...served('other', pod('other'))],
    secret: [secret('tls', pair)],
    ingress: [route('web')],
  }));
  await cluster.serves(HOST, '/', 'web');
});

afterAll(async () => await cluster[Symbol.asyncDispose]());

function route(to: string) {
  return ingress('web', {
    rules: [{ host: HOST, paths: [{ path: '/', to }] }],
    tls: [{ hosts: [HOST], secretName: 'tls' }],
  });
}

const tls = (): Handshake => ({ servername: HOST, ca: authority.certificate });

type Send = (ask: {
  path: string;
  method?: string;
  headers?: Record<string, string>;
  body?: Buffer;
}) => Promise<Answer>;

/** Runs `use` with a client of each kind. */
async function overEach(use: (send: Send, kind: 'HTTP/1.1' | 'HTTP/2') => Promise<void>): Promise<void> {
  await use(async (ask) => await cluster.client.ask({ host: HOST, ...ask }), 'HTTP/1.1');
  await using http2 = await Http2.connect(cluster.https, tls());
  await use(async (ask) => await http2.ask({ host: HOST, ...ask }), 'HTTP/2');
}

function echoOf({ echo }: Answer): Echo {
  if (echo === undefined) throw new Error('no echo');
  return echo;
}

describe('protocols', () => {
  test.each([
    [['h2', 'http/1.1'], 'h2'],
    [['http/1.1'], 'http/1.1'],
    [['http/1.0', 'http/1.1'], 'http/1.1'],
  ])('ALPN %j agrees on %s', async (alpn, agreed) => {
    const socket = await handshake(cluster.https, { ...tls(), alpn });
    expect(socket.alpnProtocol).toBe(agreed);
    socket.destroy();
  });

  test('HTTP/1.1 over TLS', async () => {
    const socket = await handshake(cluster.https, tls());
    socket.end(`GET /x HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
    let reply = '';
    for await (const chunk of socket) reply += String(chunk);
    expect(reply).toContain('"pod":"web"');
  });

  test('HTTP/1.0 is answered', async () => {
    expect(await exchange(cluster.http, `GET / HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`)).toMatch(/^HTTP\/1\.[01] 200 /);
  });

  test('many HTTP/2 streams at once on one connection', async () => {
    await using client = await Http2.connect(cluster.https, tls());
    const answers = await Promise.all(
      Array.from({ length: 50 }, async (_, at) => await client.ask({ host: HOST, path: `/${at}` })),
    );
    expect(answers.map((answer) => echoOf(answer).url)).toEqual(answers.map((_, at) => `/${at}`));
  });

  test('over HTTP/2 host and path decide as they do over HTTP/1.1', async () => {
    await using client = await Http2.connect(cluster.https, tls());
    expect((await client.ask({ host: `${HOST.toUpperCase()}.:8443`, path: '/a/../b' })).status).toBe(200);
    expect((await client.ask({ host: 'nobody.example', path: '/' })).status).toBe(404);
  });
});

describe('requests and answers', () => {
  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])('%s goes through', async (method) => {
    await overEach(async (send) => {
      const body = method === 'GET' ? undefined : Buffer.from('text');
      const answer = await send({ path: '/m?q=1&q=%20', method, ...(body === undefined ? {} : { body }) });
      expect(echoOf(answer)).toMatchObject({ method, url: '/m?q=1&q=%20', received: body?.length ?? 0 });
    });
  });

  test('HEAD has headers and no body', async () => {
    await overEach(async (send) => {
      const { status, headers, body } = await send({ path: '/', method: 'HEAD' });
      expect([status, headers['content-type'], body.length]).toEqual([200, 'application/json', 0]);
    });
  });

  test('1 MiB up and down', async () => {
    const body = randomBytes(MIB);
    await overEach(async (send) => {
      const up = echoOf(await send({ path: '/up', method: 'POST', body }));
      expect([up.received, up.digest]).toEqual([MIB, hash('sha256', body, 'hex')]);
      const down = await send({ path: `${DOWNLOAD}${MIB}` });
      expect([down.status, down.body.length]).toEqual([200, MIB]);
    });
  });

  test('a chunked body arrives', async () => {
    const text =
      `POST / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n` +
      '4\r\nwiki\r\n5\r\npedia\r\n0\r\n\r\n';
    expect(await exchange(cluster.http, text)).toContain('"received":9');
  });

  test('lengths that contradict each other reach no pod', async () => {
    const both = `POST / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody!`;
    // 3.2 closes the connection without a word.
    expect(await exchange(cluster.http, both)).toMatch(/^(?:HTTP\/1\.1 400 |$)/);
  });
});

describe('headers', () => {
  test('X-Headgate-* comes neither from clients nor from pods', async () => {
    await overEach(async (send) => {
      const answer = await send({
        path: '/',
        headers: { 'X-Headgate-Route': '0123456789abcdef', 'x-headgate-anything': '1', 'x-other': 'stays' },
      });
      const { headers } = echoOf(answer);
      expect(Object.keys(headers).filter((name) => name.startsWith('x-headgate'))).toEqual([]);
      expect(headers['x-other']).toBe('stays');
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('x-headgate'))).toEqual([]);
    });
  });

  test('X-Forwarded-* says what the entry saw, whatever the client claims', async () => {
    await overEach(async (send, kind) => {
      const claims = { 'X-Forwarded-For': '203.0.113.9', 'X-Forwarded-Proto': 'gopher', 'X-Forwarded-Prefix': '/x' };
      const { headers, host } = echoOf(await send({ path: '/', headers: claims }));
      const secure = kind === 'HTTP/2';
      expect(headers).toMatchObject({
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-proto': secure ? 'https' : 'http',
        'x-forwarded-host': HOST,
        'x-forwarded-port': String(secure ? cluster.https : cluster.http),
      });
      expect(headers).not.toHaveProperty('x-forwarded-prefix');
      expect(host).toBe(HOST);
    });
  });

  test('the Host that the client wrote goes on as it is', async () => {
    expect(echoOf(await cluster.get('Shop.Example:1234', '/')).host).toBe('Shop.Example:1234');
  });
});

describe('WebSocket', () => {
  test('through, both ways, and open across a change of its route', async () => {
    const key = randomBytes(16).toString('base64');
    const [socket, head] = await upgrade(cluster.http, HOST, '/live', key);
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    expect(head.toLowerCase()).toContain('x-pod: web');
    expect(head).toContain(hash('sha1', `${key}${WEBSOCKET_GUID}`, 'base64'));
    await expectEcho(socket);

    cluster.write('ingress', route('other'));
    await cluster.serves(HOST, '/', 'other');
    await expectEcho(socket);
    cluster.write('ingress');
    await cluster.serves(HOST, '/', 404);
    await expectEcho(socket);
    cluster.write('ingress', route('web'));
    await cluster.serves(HOST, '/', 'web');
    await expectEcho(socket);
    socket.destroy();
  });

  test('over HTTP/2 by extended CONNECT', async () => {
    await using client = await Http2.connect(cluster.https, tls());
    const stream = client.session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      ':authority': HOST,
      ':path': '/live',
      'sec-websocket-version': '13',
    });
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    expect(headers[':status']).toBe(200);
    stream.write('over h2');
    const [echo] = (await once(stream, 'data')) as [Buffer];
    expect(String(echo)).toBe('over h2');
    stream.destroy();
  });
});

/** A masked text frame; the pod sends back every byte as it is. */
async function expectEcho(socket: Socket): Promise<void> {
  const frame = Buffer.concat([Buffer.from([0x81, 0x84]), randomBytes(8)]);
  socket.write(frame);
  let got = Buffer.alloc(0);
  while (got.length < frame.length) got = Buffer.concat([got, ((await once(socket, 'data')) as [Buffer])[0]]);
  expect(got.equals(frame)).toBe(true);
}

test('nothing of this needed a reload', async () => expect(await cluster.reloads()).toBe(0));
