import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { keepAliveLoad, PlaneBench, service, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { MASTER_SOCKET } from '../../agent/haproxy/process/stop.ts';
import { askMaster } from '../../agent/haproxy/process/master.ts';

it("an agent that starts while somebody's reload is under way takes HAProxy over, and no request fails", async () => {
  await using bench = await PlaneBench.make();
  const { port } = await bench.upstream('one');
  // As many as make loading take a while.
  const resources = Array.from({ length: 300 }, (_, i) => service(`s${i}`, [port])).flat();
  await bench.start(resources);
  const master = Number(readFileSync(join(bench.folder, 'haproxy.pid'), 'utf8'));
  await using load = keepAliveLoad(bench.http, 's0.example');
  for (let round = 0; round < 3; round++) {
    await bench.leave();
    const before = await bench.worker();
    const reloading = askMaster(join(bench.folder, MASTER_SOCKET), 'reload').catch(() => '');
    // Silent, or about to be.
    await until(
      () =>
        bench
          .worker()
          .catch(() => undefined)
          .then((worker) => [worker]),
      ([worker]) => worker !== before,
    );
    await bench.start(resources);
    await reloading;
    expect(bench.plane.status()).toMatchObject({ ready: true, pid: master });
  }
  await load.stop();
  expect(load.failures).toEqual([]);
});
