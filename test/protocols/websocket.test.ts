import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TwoRigs, ways } from './two-rigs.fixture.ts';

/** RFC 6455, 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const stack = new AsyncDisposableStack();
const open = new Set<Socket>();
let pod: Server;
let rigs: TwoRigs;
let last: IncomingMessage;

beforeAll(async () => {
  pod = createServer((request, response) => {
    last = request;
    response.writeHead(request.url === '/denied' ? 403 : 200, { 'x-plain': '1' }).end('plain');
  });
  // Echoes bytes; /declines answers as if it knew no upgrade.
  pod.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    last = request;
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    if (request.url !== '/') {
      const status = request.url === '/denied' ? '403 Forbidden' : '200 OK';
      socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 5\r\nX-Plain: 1\r\nConnection: close\r\n\r\nplain`);
      return;
    }
    const accept = createHash('sha1')
      .update(`${request.headers['sec-websocket-key'] ?? ''}${GUID}`)
      .digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.pipe(socket);
  });
  await once(pod.listen(0, '127.0.0.1'), 'listening');
  rigs = stack.use(await TwoRigs.start({ port: (pod.address() as AddressInfo).port }));
});

afterAll(async () => {
  await stack.disposeAsync();
  for (const socket of open) socket.destroy();
  pod.closeAllConnections();
  await new Promise((resolve) => pod.close(resolve));
});

function secure(alpn: string): Socket {
  return connectTls({
    host: '127.0.0.1',
    port: rigs.eu.https,
    servername: 'near.example',
    ca: rigs.ca.certificate,
    ALPNProtocols: [alpn],
  });
}

/** Asks for a WebSocket over HTTP/1.1. @returns the answer's head, and what follows it once `size` bytes are there */
async function ask(socket: Socket, host: string, path: string, more: readonly string[] = []) {
  const key = randomBytes(16).toString('base64');
  const head = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    ...more,
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  return { answer: answer.toString('latin1'), accept };
}

async function echo(socket: Pick<Socket, 'write' | 'on' | 'off'>, size: number): Promise<boolean> {
  const sent = randomBytes(size);
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const parts: Buffer[] = [];
  let length = 0;
  const take = (part: Buffer): void => {
    parts.push(part);
    length += part.length;
    if (length >= size) resolve(Buffer.concat(parts));
  };
  socket.on('data', take);
  socket.write(sent);
  const got = await promise;
  socket.off('data', take);
  return sent.equals(got);
}

describe.each(ways)('WebSocket, %s', (way) => {
  test('over HTTP/1.1, plain and TLS, carries bytes both ways', async () => {
    for (const socket of [connect(rigs.eu.http, '127.0.0.1'), secure('http/1.1')]) {
      const { answer, accept } = await ask(socket, way, '/');
      expect(answer).toMatch(/^HTTP\/1\.1 101/);
      expect(answer.toLowerCase()).toContain(`sec-websocket-accept: ${accept}`.toLowerCase());
      expect(await echo(socket, 300_000)).toBe(true);
      socket.destroy();
    }
  });

  test('over HTTP/2 (RFC 8441), carries bytes both ways', async () => {
    const session = connectHttp2(`https://${way}`, { createConnection: () => secure('h2') });
    await once(session, 'remoteSettings');
    expect(session.remoteSettings.enableConnectProtocol).toBe(true);
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/',
      'sec-websocket-version': '13',
    });
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    expect(headers[':status']).toBe(200);
    expect(await echo(stream as unknown as Socket, 300_000)).toBe(true);
    expect(last.headers['sec-websocket-key']).toHaveLength(24);
    session.destroy();
  });

  test('over HTTP/2 a pod that declines opens no tunnel', async () => {
    const session = connectHttp2(`https://${way}`, { createConnection: () => secure('h2') });
    await once(session, 'remoteSettings');
    for (const [path, status] of [
      ['/declines', 502],
      ['/denied', 403],
    ] as const) {
      const stream = session.request({
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':path': path,
        'sec-websocket-version': '13',
      });
      stream.on('error', () => undefined);
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
      expect([path, headers[':status']]).toEqual([path, status]);
      stream.destroy();
    }
    session.destroy();
  });

  test.each([
    ['/declines', 200],
    ['/denied', 403],
  ])('a pod that answers %s with %d is heard', async (path, status) => {
    const socket = connect(rigs.eu.http, '127.0.0.1');
    const { answer } = await ask(socket, way, path, ['Connection: close']);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${String(status)}`));
    expect(answer.toLowerCase()).toContain('x-plain: 1');
    socket.destroy();
  });

  test('a client that offers HTTP/2 by upgrade gets its answer over HTTP/1.1', async () => {
    const socket = connect(rigs.eu.http, '127.0.0.1');
    socket.write(
      `GET / HTTP/1.1\r\nHost: ${way}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 200/);
    expect(last.headers['upgrade']).toBeUndefined();
    socket.destroy();
  });
});
