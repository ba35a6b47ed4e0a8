import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../../lib/clock.ts';
import { BackendSettings, CheckType } from '../../../proto/gen/headgate/v1/configured.ts';
import type { EndpointsOut } from '../data-plane.ts';
import type { Server, Slot } from '../model/desired.ts';
import { sockets } from '../model/names.ts';
import { DEFAULT_PROFILE } from '../model/profile.ts';
import { PlaneBench, until } from '../testing/plane.fixture.ts';
import { backend, endpoints, host } from '../testing/resources.fixture.ts';
import { testBackend } from '../testing/rig.fixture.ts';
import { HealthWatch } from './health-watch.ts';
import { parseServers } from './observe.ts';

const NAME = 'shop/web/80';

/** The slot that HAProxy has endpoints in, as it says itself. */
async function slotOf(bench: PlaneBench): Promise<Slot> {
  const { seen } = await until(
    async () => [...parseServers(await bench.cli('show servers state'))].find(([name]) => name.startsWith('s')),
    (found) => found?.[1].size === 2,
  );
  const [name = '', servers = new Map()] = seen ?? [];
  const wanted = [...servers].map(([server, { address, port }]): [string, Server] => [
    server,
    { name: server, address, port, state: 'ready' },
  ]);
  const settings = BackendSettings.create();
  return { name, profile: DEFAULT_PROFILE, backend: NAME, settings, servers: new Map(wanted) };
}

test('an endpoint that HAProxy finds down is told until it is back; a worker that hangs says nothing', async () => {
  await using bench = await PlaneBench.make();
  await using steady = await testBackend('steady');
  await using failing = await testBackend('failing');
  const settings = { healthCheck: { type: CheckType.TCP, intervalMs: 200n, rise: 2, fall: 2 } };
  await bench.start([
    backend(NAME),
    endpoints('shop/web', steady.port, ['127.0.0.1'], [], 'a'),
    endpoints('shop/web', failing.port, ['127.0.0.1'], [], 'b'),
    host('shop.example', [{ path: '/', at: { eu: NAME }, settings }]),
  ]);
  const slot = await slotOf(bench);

  using stack = new DisposableStack();
  const ended = new AbortController();
  stack.defer(() => ended.abort());
  const looks: (readonly EndpointsOut[])[] = [];
  /** Looks that began; each asks for the slots once, and once more with its answer. */
  let asked = 0;
  const watch = new HealthWatch({
    socket: join(bench.folder, sockets.worker),
    slots: () => {
      asked++;
      return [slot];
    },
    clock: systemClock,
    signal: ended.signal,
    onLook: (out) => looks.push([...out.values()]),
  });
  const running = watch.run();
  const last = async () => await Promise.resolve(looks.at(-1));
  await until(last, (seen) => seen?.length === 0);
  await failing[Symbol.asyncDispose]();
  const { seen } = await until(last, (out) => out?.length === 1);
  expect(seen).toEqual([{ backend: NAME, live: 1, total: 2 }]);

  const back = createServer((socket) => socket.destroy());
  stack.defer(() => back.close());
  await once(back.listen(failing.port, '127.0.0.1'), 'listening');
  await until(last, (out) => out?.length === 0);

  const worker = await bench.worker();
  process.kill(worker, 'SIGSTOP');
  stack.defer(() => {
    try {
      process.kill(worker, 'SIGCONT');
    } catch {
      // It was replaced already.
    }
  });
  const [told, before] = [looks.length, asked];
  await until(
    async () => await Promise.resolve(asked),
    (now) => now > before,
  );
  expect(looks.length).toBe(told);
  const began = performance.now();
  ended.abort();
  await running;
  expect(performance.now() - began).toBeLessThan(2_000);
});
