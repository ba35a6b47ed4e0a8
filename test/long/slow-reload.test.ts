import { expect, test } from 'vitest';
import { askMaster } from '../../agent/haproxy/process/master.ts';
import { MASTER_SOCKET } from '../../agent/haproxy/process/stop.ts';
import { keepAliveLoad, PlaneBench, service, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { join } from 'node:path';
import { siteResources } from '../data-plane/cold-node.ts';
import { report } from '../data-plane/report.ts';

/** As many as take 2.6 some seconds to load. */
const CERTIFICATES = 4_000;

test("promise-08 a reload of somebody else's that takes seconds is waited for, by an agent that runs and by one that starts", async () => {
  await using bench = await PlaneBench.make();
  const { port } = await bench.upstream('one');
  const resources = [...service('shop', [port]), ...(await siteResources(CERTIFICATES, port))];
  await bench.start(resources, { spares: CERTIFICATES + 128 });
  const { master } = await bench.processes();
  await using load = keepAliveLoad(bench.http, 'shop.example');
  const reload = async (): Promise<number> => {
    const before = await bench.worker();
    const asked = askMaster(join(bench.folder, MASTER_SOCKET), 'reload', 60_000).catch(() => '');
    const { ms } = await until(
      () => bench.worker(),
      (worker) => worker !== before,
      60_000,
    );
    await asked;
    return ms;
  };

  const withAgent = await reload();
  // What the agent would do to a master that it takes for lost, it does within two seconds.
  await expect(bench.apply(service('after', [port]))).resolves.toBeUndefined();
  expect((await bench.get('after.example')).status).toBe(200);
  expect(await bench.processes()).toMatchObject({ master });

  await bench.leave();
  const reloading = reload();
  await until(
    () =>
      bench.processes().then(
        () => false,
        () => true,
      ),
    (silent) => silent,
  ).catch(() => undefined);
  await bench.start([...resources, ...service('after', [port])], { spares: CERTIFICATES + 128 });
  await reloading;
  expect(bench.plane.status()).toMatchObject({ ready: true, pid: master });
  await load.stop();
  report("promise-08 somebody else's slow reload", { ms: withAgent, requests: load.requests });
  expect(load.failures).toEqual([]);
});
