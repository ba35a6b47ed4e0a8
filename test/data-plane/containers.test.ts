import { existsSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stopHaproxy } from '../../agent/haproxy/process/stop.ts';
import { testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { keepAliveLoad, PlaneBench, service, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { certificate } from '../../agent/haproxy/testing/resources.fixture.ts';
import { systemClock } from '../../lib/clock.ts';
import type { Resource } from '../../lib/sync/index.ts';
import { HaproxyContainer } from './haproxy-container.ts';
import { report } from './report.ts';
import { mended, noticed, works } from './shop-plane.ts';

/** What the promise gives, and what a busy machine may add. Milliseconds. */
const NOTICED = 2_000 + 3_000;

async function started(stack: AsyncDisposableStack) {
  const bench = stack.use(await PlaneBench.make());
  const upstream = await bench.upstream('one');
  const leaf = await (await testCa()).leaf('shop.example');
  const resources: Resource[] = [...service('shop', [upstream.port]), certificate('shop/tls', ['shop.example'], leaf)];
  const container = stack.use(new HaproxyContainer(bench.folder));
  await bench.render(resources);
  container.start();
  await bench.start(resources, { external: true });
  return { bench, container, resources };
}

describe.concurrent('agent and HAProxy in PID and mount namespaces of their own, with one folder in common', () => {
  it('HAProxy begins with the rendered files; changes, certificates and reloads go through; 0 requests fail', async () => {
    await using stack = new AsyncDisposableStack();
    const { bench, container, resources } = await started(stack);
    expect([...bench.plane.status().reloads]).toEqual([]);
    const { master } = await bench.processes();
    expect(master).toBe(1);
    expect(container.pids()).not.toContain(1);
    // Where the other container looks, not behind a link that ends in this one's memory.
    expect(lstatSync(join(bench.folder, 'certs')).isDirectory()).toBe(true);
    await using load = keepAliveLoad(bench.http, 'shop.example');
    await works(bench);
    const upstream = await bench.upstream('many');
    await bench.apply(Array.from({ length: 80 }, (_, i) => service(`many${i}`, [upstream.port])).flat());
    expect(bench.plane.status().reloads.get('pool-refill')).toBe(1);
    expect((await bench.get('many79.example')).body).toBe('many');

    // The next agent takes it over as it is.
    await bench.leave();
    await bench.start([...resources, ...service('many79', [upstream.port])], { external: true });
    expect([...bench.plane.status().reloads]).toEqual([]);
    expect((await bench.get('many79.example')).body).toBe('many');
    await load.stop();
    expect(load.failures).toEqual([]);
  });

  it('a container that is killed is noticed within 2 s; one that is started again is taken over as it should be', async () => {
    await using stack = new AsyncDisposableStack();
    const { bench, container } = await started(stack);
    await container.kill();
    const seen = await noticed(bench);
    expect(bench.plane.status().ready).toBe(false);
    container.start();
    const well = await mended(bench);
    report('HAProxy container killed', { 'noticed ms': seen, 'taken over after ms': well });
    expect(seen).toBeLessThan(NOTICED);
    expect(bench.plane.status().note).toContain('started again once');
    await works(bench);
  });

  it('a worker that hangs is noticed within 2 s and told, and a restart of its container mends it', async () => {
    await using stack = new AsyncDisposableStack();
    const { bench, container } = await started(stack);
    const [, worker = 0] = container.pids();
    process.kill(worker, 'SIGSTOP');
    const seen = await noticed(bench);
    expect(bench.plane.status()).toMatchObject({ ready: false, reason: expect.stringContaining('worker') });
    await until(
      () => Promise.resolve(bench.plane.status()),
      ({ reason }) => reason.includes('worker'),
    );
    await container.kill();
    container.start();
    const well = await mended(bench);
    report('worker in a container hung', { 'noticed ms': seen, 'taken over after ms': well });
    expect(seen).toBeLessThan(NOTICED);
    await works(bench);
  });

  it('without --haproxy-external neither an agent nor its stop touches a HAProxy that is not in its namespace', async () => {
    await using stack = new AsyncDisposableStack();
    const { bench, container } = await started(stack);
    await bench.leave();
    await expect(bench.start([], {})).rejects.toThrow('in a PID namespace of its own');
    await expect(stopHaproxy(bench.folder, 0, systemClock)).rejects.toThrow('in a PID namespace of its own');
    expect(existsSync(`/proc/${String(container.pids()[0])}`)).toBe(true);
  });
});
