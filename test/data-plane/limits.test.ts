import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { probeHaproxy } from '../../agent/haproxy/process/probe.ts';
import { PlaneBench, service, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';
import { report } from './report.ts';
import { mended, noticed, shopPlane, works } from './shop-plane.ts';

/** Time to notice that the promise gives, and what a busy machine may add. Milliseconds. */
const NOTICED = 2_000 + 3_000;

function limit(pid: number, what: string): void {
  execFileSync('prlimit', ['--pid', String(pid), `--${what}`]);
}

/** Opens connections that each send the beginning of a request. */
async function open(port: number, count: number): Promise<readonly Socket[]> {
  const all = Array.from({ length: count }, () => connect(port, '127.0.0.1').on('error', () => {}));
  await Promise.all(all.map((socket) => once(socket, 'connect')));
  for (const socket of all) socket.write('GET / HTTP/1.1\r\nhost: shop.example\r\n');
  return all;
}

describe.concurrent('a worker at a limit', () => {
  it('killed as the kernel does when memory runs out: noticed within 2 s, and what was live is', async () => {
    await using bench = await shopPlane();
    const { port } = await bench.upstream('late');
    await bench.apply(service('late', [port]));
    const { pid } = bench.plane.status();
    const began = performance.now();
    process.kill(await bench.worker(), 'SIGKILL');
    await until(
      () => Promise.resolve(bench.plane.status()),
      (status) => status.pid !== pid && status.ready && status.reason === '',
    );
    const ms = performance.now() - began;
    report('worker out of memory, killed', { 'serves again after ms': ms });
    expect(ms).toBeLessThan(NOTICED);
    expect((await bench.get('late.example')).body).toBe('late');
    expect(bench.plane.status().note).toContain('started again once');
    await works(bench);
  });

  it('without file descriptors, which connections hold: noticed within 2 s and replaced', async () => {
    await using bench = await shopPlane();
    const worker = await bench.worker();
    limit(worker, 'nofile=60:60');
    const sockets = await open(bench.http, 100);
    try {
      const seen = await noticed(bench);
      const well = await mended(bench);
      report('file descriptors held by connections', { 'noticed ms': seen, 'replaced after ms': seen + well });
      expect(seen).toBeLessThan(NOTICED);
      await works(bench);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  it('without address space: noticed within 2 s and mended, and what it could not take comes', async () => {
    await using bench = await shopPlane();
    limit(await bench.worker(), 'as=1000000:unlimited');
    const { port } = await bench.upstream('two');
    const births = Array.from({ length: 40 }, (_, i) => service(`birth${i}`, [port])).flat();
    const seen = noticed(bench);
    // 3.x has more in store, so it takes connections, too, to use that up.
    const sockets = await open(bench.http, 1_000);
    await bench.plane.apply({ upserts: births, removals: [] });
    const ms = await seen;
    for (const socket of sockets) socket.destroy();
    const well = await mended(bench);
    report('out of address space', { 'noticed ms': ms, 'well again after ms': ms + well });
    expect(ms).toBeLessThan(NOTICED);
    // As a node agent does with what was not taken.
    await until(
      async () => await bench.plane.apply({ upserts: births, removals: [] }),
      (verdicts) => verdicts.every(({ programmed }) => programmed),
    );
    expect((await bench.get('birth39.example')).body).toBe('two');
    await works(bench);
  });
});

it('a reload whose files were checked and then cannot be read: the old worker serves, the cause is told, and it heals', async () => {
  await using bench = await PlaneBench.make();
  const { port } = await bench.upstream('one');
  const [binary, broken] = [join(bench.folder, 'checked-haproxy'), join(bench.folder, 'broken')];
  const { path } = await probeHaproxy(haproxyBinary);
  // After the check and before the worker's turn.
  const spoil = `[ -e ${broken} ] && case "$*" in *"-c -f conf"*) rm -f ${bench.folder}/maps/host.map;; esac`;
  writeFileSync(binary, `#!/bin/sh\n${spoil}\nexec ${path} "$@"\n`, { mode: 0o700 });
  await bench.start(service('shop', [port]), { haproxy: binary });
  writeFileSync(broken, '');
  const worker = await bench.worker();
  const births = Array.from({ length: 80 }, (_, i) => service(`birth${i}`, [port])).flat();
  const verdicts = await bench.plane.apply({ upserts: births, removals: [] });
  expect(verdicts.filter((one) => !one.programmed && !one.transient)).toEqual([]);
  expect(verdicts.some(({ programmed }) => !programmed)).toBe(true);
  await until(
    () => Promise.resolve(bench.plane.status()),
    ({ reason }) => reason.includes('maps/host.map'),
  );
  expect(bench.plane.status().ready).toBe(true);
  expect(await bench.worker()).toBe(worker);
  expect((await bench.get('shop.example')).body).toBe('one');
  rmSync(broken);
  await until(
    () => Promise.resolve(bench.plane.status()),
    ({ reason }) => reason === '',
  );
  await bench.apply(births);
  expect((await bench.get('birth79.example')).body).toBe('one');
});
