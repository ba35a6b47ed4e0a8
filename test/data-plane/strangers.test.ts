import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { askMaster } from '../../agent/haproxy/process/master.ts';
import { MASTER_SOCKET } from '../../agent/haproxy/process/stop.ts';
import { keepAliveLoad, PlaneBench, service, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';
import { report } from './report.ts';
import { mended, shopPlane, works } from './shop-plane.ts';

describe.concurrent('somebody else at HAProxy', () => {
  it.each(['SIGUSR2', 'reload'])('reloads it by %s: it is looked at and serves what it should', async (how) => {
    await using bench = await shopPlane();
    await using load = keepAliveLoad(bench.http, 'shop.example');
    const { master, worker } = await bench.processes();
    if (how === 'SIGUSR2') process.kill(master, how);
    else await askMaster(join(bench.folder, MASTER_SOCKET), how, 10_000);
    await until(
      () => bench.worker(),
      (now) => now !== worker,
    );
    await works(bench);
    await mended(bench);
    expect(bench.plane.status().pid).toBe(master);
    await load.stop();
    expect(load.failures).toEqual([]);
  });

  it('breaks a file by hand and reloads: the old worker serves on, and the next reload mends the file', async () => {
    await using bench = await shopPlane();
    await using load = keepAliveLoad(bench.http, 'shop.example');
    const base = join(bench.folder, 'conf/00-base.cfg');
    const whole = readFileSync(base, 'utf8');
    appendFileSync(base, 'nonsense\n');
    await askMaster(join(bench.folder, MASTER_SOCKET), 'reload', 10_000);
    await works(bench);
    const upstream = await bench.upstream('many');
    await bench.apply(Array.from({ length: 80 }, (_, i) => service(`many${i}`, [upstream.port])).flat());
    expect((await bench.get('many79.example')).body).toBe('many');
    expect(readFileSync(base, 'utf8')).toBe(whole);
    await load.stop();
    expect(load.failures).toEqual([]);
  });

  it('kills the master and its worker at once: noticed and mended', async () => {
    await using bench = await shopPlane();
    const { master, worker = 0 } = await bench.processes();
    process.kill(master, 'SIGKILL');
    process.kill(worker, 'SIGKILL');
    const { ms } = await until(
      () => bench.processes(),
      (now) => now.master !== master && now.worker !== undefined,
    );
    report('master and worker killed', { 'mended after ms': ms });
    await mended(bench);
    await works(bench);
    expect(bench.plane.status().note).toContain('started again once');
  });

  it('puts a broken binary in its place: changes go on, a reload that needs it is told, and it heals', async () => {
    await using bench = await PlaneBench.make();
    const upstream = await bench.upstream('one');
    const real = execFileSync('sh', ['-c', 'command -v "$1"', 'sh', haproxyBinary]).toString().trim();
    const binary = join(bench.folder, 'haproxy-here');
    const place = (text: string): void => {
      writeFileSync(`${binary}.new`, text, { mode: 0o700 });
      execFileSync('mv', [`${binary}.new`, binary]);
    };
    place(`#!/bin/sh\nexec ${real} "$@"\n`);
    await bench.start(service('shop', [upstream.port]), { haproxy: binary });
    await using load = keepAliveLoad(bench.http, 'shop.example');
    const { worker } = await bench.processes();
    place('#!/bin/sh\nexit 127\n');
    await works(bench);
    const births = Array.from({ length: 80 }, (_, i) => service(`many${i}`, [upstream.port])).flat();
    const verdicts = await bench.plane.apply({ upserts: births, removals: [] });
    expect(verdicts.some(({ programmed }) => !programmed)).toBe(true);
    expect(await bench.worker()).toBe(worker);
    await until(
      () => Promise.resolve(bench.plane.status()),
      ({ ready, reason }) => ready && reason !== '',
    );
    expect((await bench.get('shop.example')).body).toBe('one');
    place(`#!/bin/sh\nexec ${real} "$@"\n`);
    await mended(bench);
    expect((await bench.get('many79.example')).body).toBe('one');
    await load.stop();
    expect(load.failures).toEqual([]);
  });
});
