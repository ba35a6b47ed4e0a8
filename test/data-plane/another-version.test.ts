import { renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { probeHaproxy } from '../../agent/haproxy/process/probe.ts';
import { PlaneBench, service, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';

const other = process.env['HEADGATE_TEST_HAPROXY_OTHER'];
if (other === undefined) {
  process.stdout.write(
    'another version in the place of the binary: not tried, HEADGATE_TEST_HAPROXY_OTHER is not set\n',
  );
}

/** A place for binaries, as a package has it: a reload runs what is there then. */
function placeIn(folder: string): { readonly binary: string; readonly put: (path: string) => void } {
  const binary = join(folder, 'haproxy-here');
  const put = (path: string): void => {
    symlinkSync(path, `${binary}.new`);
    renameSync(`${binary}.new`, binary);
  };
  return { binary, put };
}

const births = (name: string, port: number) =>
  Array.from({ length: 80 }, (_, i) => service(`${name}${i}`, [port])).flat();

it.runIf(other !== undefined).each(['a start', 'a reload'])(
  'another version in its place serves from %s on, and is known by its own word',
  async (how) => {
    await using bench = await PlaneBench.make();
    const { port } = await bench.upstream('one');
    const { binary, put } = placeIn(bench.folder);
    put((await probeHaproxy(haproxyBinary)).path);
    await bench.start(service('shop', [port]), { haproxy: binary });
    const before = bench.plane.status().version;
    put(String(other));
    const { version } = await probeHaproxy(binary);
    if (how === 'a start') {
      process.kill(bench.plane.status().pid ?? 0, 'SIGKILL');
    } else {
      await bench.leave();
      await bench.start(service('shop', [port]), { haproxy: binary });
      await until(
        () => Promise.resolve(bench.plane.status()),
        (status) => status.version === before && status.note.includes(version),
      );
      await bench.apply(births('early', port));
    }
    await until(
      () => Promise.resolve(bench.plane.status()),
      (status) => status.ready && status.reason === '' && status.version === version,
    );
    expect(bench.plane.status().note).not.toContain('next reload');
    expect((await bench.get('shop.example')).body).toBe('one');
    await bench.apply(births('many', port));
    expect((await bench.get('many79.example')).body).toBe('one');
  },
);

it.each([
  [
    'an older HAProxy',
    '#!/bin/sh\necho "HAProxy version 2.4.22 2023/01/01"\necho "Feature list : +OPENSSL +PROMEX"\n',
    'too old',
  ],
  ['something else', '#!/bin/sh\nexit 0\n', 'is not HAProxy'],
  ['nothing that runs', '#!/nowhere\n', 'does not run'],
])(
  '%s in the place of the binary is not reloaded into; what serves goes on, and the right one heals it',
  async (_, script, words) => {
    await using bench = await PlaneBench.make();
    const { port } = await bench.upstream('one');
    const { binary, put } = placeIn(bench.folder);
    const real = (await probeHaproxy(haproxyBinary)).path;
    put(real);
    await bench.start(service('shop', [port]), { haproxy: binary });
    const { pid, version } = bench.plane.status();
    const wrong = join(bench.folder, 'wrong');
    writeFileSync(wrong, script, { mode: 0o700 });
    put(wrong);
    const verdicts = await bench.plane.apply({ upserts: births('many', port), removals: [] });
    expect(
      verdicts.filter(({ programmed }) => !programmed).map((one) => 'transient' in one && one.transient),
    ).toContain(true);
    await until(
      () => Promise.resolve(bench.plane.status()),
      ({ reason }) => reason.includes(words),
    );
    expect(bench.plane.status()).toMatchObject({ ready: true, pid, version });
    expect((await bench.get('shop.example')).body).toBe('one');
    put(real);
    await until(
      () => Promise.resolve(bench.plane.status()),
      ({ reason }) => reason === '',
    );
    expect((await bench.get('many79.example')).body).toBe('one');
  },
);
