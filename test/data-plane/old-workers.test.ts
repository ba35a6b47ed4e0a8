import { once } from 'node:events';
import { Agent as HttpAgent, createServer, request as plainRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { expect, it } from 'vitest';
import { ROUTE_HEADER } from '../../agent/haproxy/model/names.ts';
import { PlaneBench, service, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { peer, route } from '../../agent/haproxy/testing/resources.fixture.ts';
import { report } from './report.ts';

/** Sends one request of cluster us on the connection of `agent`. */
async function crossing(bench: PlaneBench, agent: Agent): Promise<{ status: number; reused: boolean }> {
  const { id } = route('shop.example', { path: '/', at: { eu: 'shop/shop/80' } });
  const sent = request({
    host: '127.0.0.1',
    port: Number(bench.plane.status().gateway.split(':')[1]),
    agent,
    rejectUnauthorized: false,
    headers: { host: 'shop.example', [ROUTE_HEADER]: id },
  });
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
  return { status: answer.statusCode ?? 0, reused: sent.reusedSocket };
}

it('a connection on an old worker learns that its gateway may not call any more', async () => {
  await using bench = await PlaneBench.make();
  const upstream = await bench.upstream('one');
  await bench.start([...service('shop', [upstream.port]), peer('us', ['127.0.0.1:1'])]);
  const { certificate, key } = await bench.ca.leaf('us.gateway.headgate');
  const agent = new Agent({ keepAlive: true, maxSockets: 1, cert: certificate, key });
  try {
    expect(await crossing(bench, agent)).toEqual({ status: 200, reused: false });
    const before = await bench.worker();
    await bench.apply(Array.from({ length: 80 }, (__, i) => service(`many${i}`, [upstream.port])).flat());
    expect((await bench.processes()).oldWorkers).toEqual([before]);
    await bench.apply([], [{ type: 'peer', name: 'us' }]);
    expect(await crossing(bench, agent)).toEqual({ status: 403, reused: true });
  } finally {
    agent.destroy();
  }
});

it('what old workers still count is in the metrics, once, until they end and after', async () => {
  await using bench = await PlaneBench.make();
  const upstream = await bench.upstream('one');
  await bench.start(service('shop', [upstream.port]));
  const counted = async (): Promise<number> => {
    const line =
      /^haproxy_backend_http_responses_total\{namespace="shop",service="shop",port="80",code="2xx"\} (\d+)$/m;
    return Number(line.exec(await bench.plane.metrics())?.[1] ?? 0);
  };
  let sent = 0;
  for (let round = 0; round < 3; round++) {
    const before = await bench.worker();
    const agents = Array.from({ length: 4 }, () => new HttpAgent({ keepAlive: true, maxSockets: 1 }));
    const all = async (): Promise<void> => {
      for (const agent of agents) await onConnection(bench.http, agent);
      sent += agents.length;
    };
    await all();
    await bench.apply(Array.from({ length: 64 }, (_, i) => service(`r${round}-${i}`, [upstream.port])).flat());
    expect((await bench.processes()).oldWorkers).toContain(before);
    expect(await counted()).toBe(sent);
    // The last that their connections carry, on the old worker.
    await all();
    expect(await counted()).toBe(sent);
    for (const agent of agents) agent.destroy();
    await bench.get('shop.example');
    sent++;
    await until(
      () => Promise.resolve(bench.plane.status().oldWorkers),
      ({ count }) => count === 0,
    );
    expect(await counted()).toBe(sent);
  }
});

it('10 reloads with a WebSocket opened before each: the young ones live, at most 6 old workers stay', async () => {
  await using bench = await PlaneBench.make();
  await using upstream = await webSockets();
  await bench.start(service('shop', [upstream.port]));
  const sockets: Socket[] = [];
  try {
    for (let round = 0; round < 10; round++) {
      sockets.push(await webSocket(bench.http));
      const before = await bench.worker();
      await bench.apply(Array.from({ length: 64 }, (_, i) => service(`r${round}-${i}`, [upstream.port])).flat());
      await until(
        () => bench.worker(),
        (now) => now !== before,
      );
    }
    const { seen } = await until(
      () => bench.processes(),
      ({ oldWorkers }) => oldWorkers.length <= 6,
    );
    const open = sockets.map((socket) => !socket.closed && !socket.readableEnded);
    report('10 reloads with WebSockets', { 'old workers': seen.oldWorkers.length, open: open.filter(Boolean).length });
    expect(seen.oldWorkers.length).toBeGreaterThanOrEqual(5);
    // Those of the newest workers.
    expect(open.slice(-5)).toEqual([true, true, true, true, true]);
    const [last] = sockets.slice(-1);
    last?.write('still here');
    expect(String(((await once(last as Socket, 'data')) as [Buffer])[0])).toBe('still here');
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

/** One request on the agent's connection. */
async function onConnection(port: number, agent: HttpAgent): Promise<void> {
  const sent = plainRequest({ host: '127.0.0.1', port, agent, headers: { host: 'shop.example' } });
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
}

/** A server that switches protocols and then sends back what it gets. */
async function webSockets(): Promise<{ readonly port: number } & AsyncDisposable> {
  const open = new Set<Socket>();
  const server = createServer().on('upgrade', (_, socket: Socket) => {
    open.add(socket);
    socket.on('error', () => {});
    // Key and answer are RFC 6455's own, section 1.3.
    const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    socket.pipe(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function webSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  socket.write(
    'GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
      'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1.1 101/);
  socket.resume();
  return socket;
}
