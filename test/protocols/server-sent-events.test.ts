import { EventEmitter, once } from 'node:events';
import { connect as connectHttp2, constants } from 'node:http2';
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TwoRigs, ways } from './two-rigs.fixture.ts';

const stack = new AsyncDisposableStack();
const calls = new EventEmitter();
let pod: Server;
let rigs: TwoRigs;

beforeAll(async () => {
  pod = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.flushHeaders();
    calls.emit('open', response);
  });
  await once(pod.listen(0, '127.0.0.1'), 'listening');
  rigs = stack.use(await TwoRigs.start({ port: (pod.address() as AddressInfo).port }));
});

afterAll(async () => {
  await stack.disposeAsync();
  pod.closeAllConnections();
  await new Promise((resolve) => pod.close(resolve));
});

test.each(ways)('events arrive one by one, and the pod hears that the client is gone, %s', async (host) => {
  const opened = once(calls, 'open') as Promise<[ServerResponse]>;
  const request = httpRequest({ host: '127.0.0.1', port: rigs.eu.http, agent: false, headers: { host } });
  request.on('error', () => undefined);
  request.end();
  const [[stream], [response]] = await Promise.all([opened, once(request, 'response') as Promise<[IncomingMessage]>]);
  // Each is awaited before the next is written: an answer that is held back for more would never come.
  for (const text of ['data: 1\n\n', 'data: 2\n\n', ': a comment\n\n']) {
    stream.write(text);
    const [got] = (await once(response, 'data')) as [Buffer];
    expect(got.toString()).toBe(text);
  }
  response.destroy();
  // Over HTTP/1.1 a client may close its sending side and still read: the next event finds out.
  const events = setInterval(() => stream.write('data: more\n\n'), 20);
  await once(stream, 'close');
  clearInterval(events);
});

test.each(ways)('a client that resets its HTTP/2 stream is missed at once, %s', async (way) => {
  const opened = once(calls, 'open') as Promise<[ServerResponse]>;
  const session = connectHttp2(`https://${way}`, {
    createConnection: () =>
      connectTls({
        host: '127.0.0.1',
        port: rigs.eu.https,
        servername: way,
        ca: rigs.ca.certificate,
        ALPNProtocols: ['h2'],
      }),
  });
  const request = session.request({ ':path': '/', accept: 'text/event-stream' });
  const [[stream]] = await Promise.all([opened, once(request, 'response')]);
  const gone = once(stream, 'close');
  request.close(constants.NGHTTP2_CANCEL);
  await gone;
  expect(stream.writableFinished).toBe(false);
  session.destroy();
});
