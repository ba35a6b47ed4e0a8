import { once } from 'node:events';
import { createServer, type IncomingMessage, request as httpRequest } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { figure } from '../safety/figure.ts';
import { type BodyPod, bodyPod, download, memory, sizeOf, upload } from './bodies.fixture.ts';
import { TwoRigs, ways } from './two-rigs.fixture.ts';

const SIZE = 64 << 20;
/** MiB: HAProxy's own buffers and those of the kernel's pipes. */
const ROOM = 8;

const stack = new AsyncDisposableStack();
let pod: BodyPod;
let rigs: TwoRigs;

beforeAll(async () => {
  pod = stack.use(await bodyPod());
  rigs = stack.use(await TwoRigs.start({ port: pod.port }));
  for (const way of ways) await upload(rigs, way, 1000);
});

afterAll(() => stack.disposeAsync());

describe.each(ways)('bodies, %s', (way) => {
  test('64 MiB up and down stream through HAProxy', async () => {
    const before = await memory(rigs.eu);
    expect(await upload(rigs, way, SIZE)).toBe(SIZE);
    expect(await sizeOf(await download(rigs, way, SIZE))).toBe(SIZE);
    const grown = (await memory(rigs.eu)) - before;
    figure(`${way}: 64 MiB each way, HAProxy grew by ${grown.toFixed(1)} MiB`);
    expect(grown).toBeLessThan(ROOM);
  });

  test('a slow reader slows the pod down, not HAProxy up', async () => {
    const before = await memory(rigs.eu);
    const response = await download(rigs, way, SIZE);
    // Nothing is read: what is on the way fills up, and the pod's writes come to rest.
    for (let last = -1; last !== pod.sent;) {
      last = pod.sent;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(pod.sent).toBeLessThan(SIZE / 2);
    expect((await memory(rigs.eu)) - before).toBeLessThan(ROOM);
    expect(await sizeOf(response)).toBe(SIZE);
  });

  test('a chunked upload that the client broke off is told from a whole one', async () => {
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    await using own = await TwoRigs.start({ port: (server.address() as AddressInfo).port });
    const came = once(server, 'request') as Promise<[IncomingMessage]>;
    const client = connect(own.eu.http, '127.0.0.1');
    client.write(`POST / HTTP/1.1\r\nHost: ${way}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
    const [request] = await came;
    const size = sizeOf(request);
    client.destroy();
    await expect(size).rejects.toThrow('aborted');
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test('100-continue goes both ways, and so does its refusal', async () => {
    const server = createServer();
    server.on('checkContinue', (request: IncomingMessage, response) => {
      if (request.url === '/refused') {
        response.writeHead(413, { connection: 'close' }).end();
        return;
      }
      response.writeContinue();
      void sizeOf(request).then((size) => response.end(String(size)));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    await using own = await TwoRigs.start({ port: (server.address() as AddressInfo).port });
    for (const path of ['/', '/refused']) {
      const headers = { host: way, expect: '100-continue', 'content-length': 5 };
      const request = httpRequest({
        host: '127.0.0.1',
        port: own.eu.http,
        method: 'POST',
        path,
        agent: false,
        headers,
      });
      // Sent with the body still here.
      request.flushHeaders();
      const answered = once(request, 'response') as Promise<[IncomingMessage]>;
      if (path === '/') {
        await once(request, 'continue');
        request.end('12345');
      }
      const [response] = await answered;
      expect(response.statusCode).toBe(path === '/' ? 200 : 413);
      response.destroy();
      request.destroy();
    }
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});
