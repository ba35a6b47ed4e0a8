import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sockets } from '../../agent/haproxy/model/names.ts';
import { isAlive, MASTER_SOCKET } from '../../agent/haproxy/process/stop.ts';
import { keepAliveLoad, service, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { report } from './report.ts';
import { mended, noticed, shopPlane, works } from './shop-plane.ts';

/** Time to notice that the promise gives, and what a busy machine may add. Milliseconds. */
const NOTICED = 2_000 + 3_000;

describe.concurrent('a process that does not answer', () => {
  it('a stopped worker is noticed within 2 s and goes on, with the same pid', async () => {
    await using bench = await shopPlane();
    const worker = await bench.worker();
    process.kill(worker, 'SIGSTOP');
    const [seen, well] = [await noticed(bench), await mended(bench)];
    report('worker stopped', { 'noticed ms': seen, 'well again ms': well });
    expect(seen).toBeLessThan(NOTICED);
    expect(await bench.worker()).toBe(worker);
    await works(bench);
  });

  it('a worker that stays hung is noticed within 2 s and replaced from the last good files', async () => {
    await using bench = await shopPlane();
    const worker = await bench.worker();
    const again = setInterval(() => isAlive(worker) && process.kill(worker, 'SIGSTOP'), 2);
    try {
      process.kill(worker, 'SIGSTOP');
      const seen = await noticed(bench);
      expect(bench.plane.status()).toMatchObject({ ready: false, reason: expect.stringContaining('worker') });
      const well = await mended(bench);
      report('worker hung', { 'noticed ms': seen, 'replaced after ms': seen + well });
      expect(seen).toBeLessThan(NOTICED);
    } finally {
      clearInterval(again);
    }
    await until(
      () => Promise.resolve(isAlive(worker)),
      (lives) => !lives,
    );
    expect(bench.plane.status().note).toContain('worker does not answer');
    await works(bench);
  });

  it('a stopped master is noticed within 2 s and goes on; no request fails', async () => {
    await using bench = await shopPlane();
    await using load = keepAliveLoad(bench.http, 'shop.example');
    const { master } = await bench.processes();
    process.kill(master, 'SIGSTOP');
    const [seen, well] = [await noticed(bench), await mended(bench)];
    report('master stopped', { 'noticed ms': seen, 'well again ms': well });
    expect(seen).toBeLessThan(NOTICED);
    expect(bench.plane.status().pid).toBe(master);
    await load.stop();
    expect(load.failures).toEqual([]);
    await works(bench);
  });

  it('a worker without file descriptors is noticed within 2 s and replaced', async () => {
    await using bench = await shopPlane();
    const worker = await bench.worker();
    execFileSync('prlimit', ['--pid', String(worker), '--nofile=12:12']);
    const seen = await noticed(bench);
    const well = await mended(bench);
    report('out of file descriptors', { 'noticed ms': seen, 'replaced after ms': seen + well });
    expect(seen).toBeLessThan(NOTICED);
    expect(await bench.worker()).not.toBe(worker);
    await works(bench);
  });
});

describe.concurrent('a socket that somebody removed', () => {
  it.each([
    ['master', MASTER_SOCKET],
    ['worker', sockets.worker],
  ])('of the %s is noticed within 2 s and made again; no request fails', async (part, socket) => {
    await using bench = await shopPlane();
    await using load = keepAliveLoad(bench.http, 'shop.example');
    const { pid } = bench.plane.status();
    rmSync(join(bench.folder, socket));
    const [seen, well] = [await noticed(bench), await mended(bench)];
    report(`socket of the ${part} removed`, { 'noticed ms': seen, 'made again after ms': seen + well });
    expect(seen).toBeLessThan(NOTICED);
    await until(
      () => Promise.resolve(pid !== undefined && isAlive(pid)),
      (lives) => !lives,
    );
    await works(bench);
    await load.stop();
    expect(load.failures).toEqual([]);
  });
});

it.concurrent('a crash loop backs off and keeps the reason in view', async () => {
  await using bench = await shopPlane();
  const gaps: number[] = [];
  for (let round = 0; round < 4; round++) {
    const { pid } = bench.plane.status();
    const worker = await bench.worker();
    const began = performance.now();
    process.kill(worker, 'SIGKILL');
    await until(
      () => bench.get('shop.example'),
      ({ status }) => status === 200 && bench.plane.status().pid !== pid && bench.plane.status().ready,
    );
    gaps.push(performance.now() - began);
  }
  report('crash loop', Object.fromEntries(gaps.map((ms, i) => [`crash ${i + 1}, back after ms`, ms])));
  expect(gaps[3]).toBeGreaterThan(1_000);
  expect(bench.plane.status()).toMatchObject({ ready: true, note: expect.stringMatching(/again 4 times.*worker/) });
  await works(bench);
});

it.concurrent('an agent that finds a HAProxy whose master cannot be asked puts another in its place; no request fails', async () => {
  await using bench = await shopPlane();
  const before = await bench.processes();
  await bench.leave();
  rmSync(join(bench.folder, MASTER_SOCKET));
  await using load = keepAliveLoad(bench.http, 'shop.example');
  const upstream = await bench.upstream('again');
  await bench.start(service('shop', [upstream.port]));
  expect((await bench.get('shop.example')).body).toBe('again');
  await load.stop();
  expect(load.failures).toEqual([]);
  await until(
    () => Promise.resolve(isAlive(before.master)),
    (alive) => !alive,
  );
});

it.concurrent('an agent that finds a HAProxy which hangs and cannot be asked ends it and starts another', async () => {
  await using bench = await shopPlane();
  const before = await bench.processes();
  const stop = () => {
    for (const pid of [before.master, before.worker])
      if (pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGSTOP');
  };
  await bench.leave();
  const again = setInterval(stop, 2);
  try {
    stop();
    const upstream = await bench.upstream('again');
    await bench.start(service('shop', [upstream.port]));
    expect((await bench.get('shop.example')).body).toBe('again');
    expect(isAlive(before.master)).toBe(false);
  } finally {
    clearInterval(again);
  }
});
