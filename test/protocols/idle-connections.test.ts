import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { backend, endpoints, host } from '../../agent/haproxy/testing/resources.fixture.ts';
import { Rig } from '../../agent/haproxy/testing/rig.fixture.ts';
import { systemClock } from '../../lib/clock.ts';

const HOST = 'idle.example';
/** Milliseconds after which the pod closes an idle connection. */
const IDLE = 60;
const CLIENTS = 32;
const LASTS = 2_500;

/** Keeps its connection whatever the server says of how long that is good for. */
class Keeper extends Agent {
  override keepSocketAlive(): boolean {
    return true;
  }
}

const stack = new AsyncDisposableStack();
const opened = new Set<Socket>();
let rig: Rig;

beforeAll(async () => {
  const pod = createServer((incoming, response) => void incoming.resume().on('end', () => response.end('ok')));
  pod.keepAliveTimeout = IDLE;
  pod.keepAliveTimeoutBuffer = 0;
  pod.on('connection', (socket) => opened.add(socket));
  await once(pod.listen(0, '127.0.0.1'), 'listening');
  stack.defer(() => {
    pod.closeAllConnections();
    pod.close();
  });
  const { port } = pod.address() as AddressInfo;
  rig = stack.use(await Rig.start('eu', await testCa(), { upserts: [], removals: [] }));
  // At runtime: what a server in a file gets of its own accord must be there, too.
  await rig.apply({
    upserts: [
      backend('d/idle/80'),
      endpoints('d/idle', port, ['127.0.0.1']),
      host(HOST, [{ path: '/', at: { eu: 'd/idle/80' } }]),
    ],
    removals: [],
  });
});

afterAll(() => stack.disposeAsync());

async function send(agent: Agent, method: string): Promise<string> {
  try {
    const outgoing = request({ host: '127.0.0.1', port: rig.http, method, agent, headers: { host: HOST } });
    outgoing.end(method.startsWith('P') ? 'body' : undefined);
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    await once(answer.resume(), 'close');
    return String(answer.statusCode);
  } catch (error) {
    return String(error);
  }
}

test('servers that are added at runtime are pooled, and a connection that served POST is not asked again', async () => {
  using agent = {
    keeper: new Keeper({ keepAlive: true, maxSockets: 1 }),
    [Symbol.dispose]() {
      this.keeper.destroy();
    },
  };
  const count = async (methods: readonly string[]): Promise<number> => {
    const before = opened.size;
    for (const method of methods) expect(await send(agent.keeper, method)).toBe('200');
    return opened.size - before;
  };
  // The first request of a client's connection is never sent over one that has been used (http-reuse safe).
  await count(['GET']);
  expect(await count(['GET', 'GET', 'GET', 'GET'])).toBeLessThanOrEqual(1);
  expect(await count(['POST', 'PATCH', 'PUT', 'DELETE'])).toBe(4);
});

test('a pod that closes idle connections costs no request of any method', async () => {
  const failed: string[] = [];
  let sent = 0;
  const end = systemClock.now() + LASTS;
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, i) => {
      const method = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'][i % 6] ?? 'GET';
      const agent = new Keeper({ keepAlive: true, maxSockets: 1 });
      while (systemClock.now() < end) {
        const answer = await send(agent, method);
        sent++;
        if (answer !== '200') failed.push(`${method}: ${answer}`);
        await systemClock.sleep(IDLE * (0.5 + Math.random()));
      }
      agent.destroy();
    }),
  );
  expect(sent).toBeGreaterThan(100);
  expect(failed).toEqual([]);
});
