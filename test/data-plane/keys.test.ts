import {
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { PlaneBench, service, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { certificate } from '../../agent/haproxy/testing/resources.fixture.ts';
import { isAlive } from '../../agent/haproxy/process/stop.ts';

const TMPFS = 0x01021994;

/** Files below a folder that hold a private key, but for what links lead to. */
function keysBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => realpathSync(path).startsWith(realpathSync(folder)))
    .filter((path) => readFileSync(path, 'latin1').includes('PRIVATE KEY'));
}

function placeOf({ folder }: PlaneBench): string {
  return dirname(readlinkSync(join(folder, 'certs')));
}

it.runIf(process.platform === 'linux')(
  'private keys lie in memory only, are taken over by the next agent, made anew after a reboot, and go with HAProxy',
  async () => {
    await using bench = await PlaneBench.make();
    const upstream = await bench.upstream('one');
    const leaf = await (await testCa()).leaf('shop.example');
    const resources = [...service('shop', [upstream.port]), certificate('shop/tls', ['shop.example'], leaf)];
    await bench.start(resources);
    const place = placeOf(bench);
    expect(statfsSync(place).type).toBe(TMPFS);
    expect(statSync(place).mode & 0o077).toBe(0);
    expect(keysBelow(place)).toHaveLength(3);
    expect(keysBelow(bench.folder)).toEqual([]);

    const { pid } = bench.plane.status();
    await bench.leave();
    await bench.start(resources);
    expect(placeOf(bench)).toBe(place);
    expect(bench.plane.status()).toMatchObject({ pid, reloads: new Map() });

    // A reboot: HAProxy and all that was in memory are gone, the links are not.
    await bench.leave();
    const { master, worker } = await bench.processes();
    for (const one of [worker, master]) if (one !== undefined) process.kill(one, 'SIGKILL');
    await until(
      () => Promise.resolve(isAlive(master)),
      (lives) => !lives,
    );
    rmSync(place, { recursive: true });
    await bench.start(resources);
    const next = placeOf(bench);
    expect(keysBelow(next)).toHaveLength(3);
    expect((await bench.get('shop.example')).body).toBe('one');
    expect(keysBelow(bench.folder)).toEqual([]);

    // Its user logged out: what was in memory is gone, HAProxy is not. The next reload needs it.
    rmSync(next, { recursive: true });
    const births = Array.from({ length: 128 }, (_, i) => service(`next${i}`, [upstream.port]));
    await bench.apply(births.flat());
    expect(bench.plane.status().reloads.get('pool-refill')).toBe(1);
    const last = placeOf(bench);
    expect(keysBelow(last)).toHaveLength(3);

    await bench.plane.stop();
    expect(lstatSync(last, { throwIfNoEntry: false })).toBeUndefined();
  },
);
