import { renameSync, writeFileSync } from 'node:fs';
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

it.runIf(other !== undefined)('another version in its place serves from the next start on', async () => {
  await using stack = new AsyncDisposableStack();
  const bench = stack.use(await PlaneBench.make());
  const { port } = await bench.upstream('one');
  const binary = join(bench.folder, 'haproxy-here');
  const place = (path: string): void => {
    writeFileSync(`${binary}.new`, `#!/bin/sh\nexec ${path} "$@"\n`, { mode: 0o700 });
    renameSync(`${binary}.new`, binary);
  };
  const real = (await probeHaproxy(haproxyBinary)).path;
  place(real);
  await bench.start(service('shop', [port]), { haproxy: binary });
  const before = bench.plane.status().version;
  place(String(other));
  process.kill(bench.plane.status().pid ?? 0, 'SIGKILL');
  await until(
    () => Promise.resolve(bench.plane.status()),
    ({ ready, reason, version }) => ready && reason === '' && version !== before,
  );
  expect((await bench.get('shop.example')).body).toBe('one');
  await bench.apply(Array.from({ length: 80 }, (_, i) => service(`many${i}`, [port])).flat());
  expect((await bench.get('many79.example')).body).toBe('one');
});
