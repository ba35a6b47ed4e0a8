import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { backend, endpoints, host, peer, split } from '../../agent/haproxy/testing/resources.fixture.ts';
import { systemClock } from '../../lib/clock.ts';
import { Wrk } from '../bench/wrk.ts';
import { figure } from '../safety/figure.ts';
import { TwoPlanes } from '../safety/two-planes.ts';
import { CountedRequests, CountingPod } from './counted.ts';
import { RollingPods } from './rolling-pods.ts';

/** The only host that wrk asks for here. */
const HOST = 'h0.bench.example';

/** Two clusters, `eu` that requests come to and `us` that serves them all. */
async function crossing(pod: number): Promise<TwoPlanes> {
  await using stack = new AsyncDisposableStack();
  const two = stack.use(await TwoPlanes.open());
  const site = host(HOST, [{ path: '/', at: { us: 'd/web/80' } }]);
  await two.apply('us', [backend('d/web/80'), endpoints('d/web', pod, ['127.0.0.1']), site, peer('eu', [])]);
  const gateway = `127.0.0.1:${two.port('us', 'gateway')}`;
  const share = split(HOST, [{ path: '/', shares: [{ cluster: 'us', share: 100_000 }] }]);
  await two.apply('eu', [site, peer('us', [gateway]), share]);
  stack.move();
  return two;
}

test('promise-08 no request that crosses fails while the gateway of the other cluster reloads', async () => {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'hg-gr-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const pods = stack.use(await RollingPods.open());
  const two = stack.use(await crossing(await pods.start()));

  const wrk = await Wrk.prepare(folder);
  const loading = wrk.run(two.port('eu', 'http'), 1, 5, 40);
  for (let i = 0; i < 5; i++) {
    await systemClock.sleep(600);
    await two.forceReload('us');
  }
  const { requests, failed } = await loading;
  figure(`promise-08 gateway reloads: ${requests} requests crossed, ${failed} failed`);
  expect(failed).toBe(0);
});

test('promise-08 POST and PATCH cross once and only once while the gateway of the other cluster reloads', async () => {
  await using pod = await CountingPod.open();
  await using two = await crossing(pod.port);
  await using load = new CountedRequests(two.port('eu', 'http'), HOST, 20);
  for (let i = 0; i < 10; i++) {
    await systemClock.sleep(300);
    await two.forceReload('us');
  }
  await load.stop();
  const { ids, failures } = load;
  const wrong = ids.filter((id) => pod.counts.get(id) !== 1);
  figure(
    `promise-08 gateway reloads: ${ids.length} POST and PATCH crossed, ${failures.length} failed, ${wrong.length} ` +
      'served other than once',
  );
  expect(failures).toEqual([]);
  expect(wrong).toEqual([]);
});
