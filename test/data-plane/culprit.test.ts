import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { ResourceVerdict } from '../../agent/haproxy/data-plane.ts';
import { PlaneBench, service, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { slices, treated } from '../../agent/haproxy/testing/pods.fixture.ts';
import { haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';
import { report } from './report.ts';

const ROUTES = 1_000;
/** What the promise gives, and what a busy machine may add. Milliseconds. */
const FOUND = 2_000 + 6_000;

/**
 * A HAProxy that is stricter than our checks and says neither what it refuses nor where: it takes no host poison, unless
 * a file named mild is there.
 */
function strictHaproxy(folder: string): string {
  const path = join(folder, 'strict-haproxy');
  const real = execFileSync('sh', ['-c', 'command -v "$1"', 'sh', haproxyBinary]).toString().trim();
  writeFileSync(
    path,
    `#!/bin/sh
if [ "$1" != -vv ] && [ ! -e ${folder}/mild ] && grep -qs poison maps/host.map; then echo '[ALERT] (1) : config : too poisonous' >&2; exit 1; fi
exec ${real} "$@"
`,
    { mode: 0o700 },
  );
  return path;
}

it('a file that HAProxy refuses as a whole: the culprit is found, named and left out; 1,000 others serve', async () => {
  await using bench = await PlaneBench.make();
  const upstream = await bench.upstream('one');
  const all = Array.from({ length: ROUTES }, (_, i) => service(`site${i}`, [upstream.port])).flat();
  await bench.start(all, { haproxy: strictHaproxy(bench.folder) });
  // As many as need a reload, which reads the files.
  const births = Array.from({ length: 200 }, (_, i) => service(`birth${i}`, [upstream.port])).flat();
  const began = performance.now();
  const verdicts = await bench.plane.apply({
    upserts: [...births, ...service('poison', [upstream.port])],
    removals: [],
  });
  const ms = performance.now() - began;
  report('culprit among 1,200 routes', { 'found and left out after ms': ms });
  const refused = verdicts.filter(({ programmed }) => !programmed);
  expect(refused).toMatchObject([
    { key: { type: 'host', name: 'poison.example' }, haproxy: expect.stringContaining('too poisonous') },
  ]);
  expect(ms).toBeLessThan(FOUND);
  for (const name of ['site0', `site${ROUTES - 1}`, 'birth0', 'birth199']) {
    expect((await bench.get(`${name}.example`)).body).toBe('one');
  }
  expect((await bench.get('poison.example')).status).toBe(404);
  expect(readdirSync(bench.folder).filter((name) => name.startsWith('trial-'))).toEqual([]);
});

it('the same at a start: the others serve', async () => {
  await using bench = await PlaneBench.make();
  const upstream = await bench.upstream('one');
  const all = Array.from({ length: 50 }, (_, i) => service(`site${i}`, [upstream.port])).flat();
  const haproxy = strictHaproxy(bench.folder);
  await expect(bench.start([...all, ...service('poison', [upstream.port])], { haproxy })).rejects.toThrow(
    'too poisonous',
  );
  expect((await bench.get('site49.example')).body).toBe('one');
  expect((await bench.get('poison.example')).status).toBe(404);
});

it('the same in a reload that nobody asked for: it is told, and the pool refilled', async () => {
  await using bench = await PlaneBench.make();
  const upstream = await bench.upstream('one');
  const rejected: ResourceVerdict[] = [];
  writeFileSync(join(bench.folder, 'mild'), '');
  await bench.start(service('poison', [upstream.port]), {
    haproxy: strictHaproxy(bench.folder),
    onRejected: (verdicts) => rejected.push(...verdicts),
  });
  expect((await bench.get('poison.example')).body).toBe('one');
  rmSync(join(bench.folder, 'mild'));
  await bench.apply(Array.from({ length: 40 }, (_, i) => service(`birth${i}`, [upstream.port])).flat());
  await until(
    () => Promise.resolve(rejected),
    ({ length }) => length > 0,
  );
  await until(
    () => Promise.resolve(bench.plane.status()),
    ({ sparesLeft, reason }) => sparesLeft >= 32 && reason === '',
  );
  expect(rejected).toMatchObject([
    { key: { type: 'host', name: 'poison.example' }, haproxy: expect.stringContaining('too poisonous') },
  ]);
  expect((await bench.get('birth39.example')).body).toBe('one');
  expect((await bench.get('poison.example')).status).toBe(404);
});

it('settings that a broken HAProxy does not load are not refused for good', async () => {
  await using bench = await PlaneBench.make();
  const upstream = await bench.upstream('one');
  const haproxy = strictHaproxy(bench.folder);
  await bench.start(service('shop', [upstream.port]), { haproxy });
  const working = readFileSync(haproxy, 'utf8');
  writeFileSync(haproxy, '#!/bin/sh\nexit 127\n');
  const odd = [...treated('odd', { timeouts: { connectMs: 100n } }), ...slices('odd', [upstream.port])];
  const verdicts = await bench.plane.apply({ upserts: odd, removals: [] });
  expect(verdicts.filter((one) => !one.programmed && !one.transient)).toEqual([]);
  expect(verdicts.some(({ programmed }) => !programmed)).toBe(true);
  writeFileSync(haproxy, working);
  await until(
    async () => await bench.plane.apply({ upserts: odd, removals: [] }),
    (again) => again.every(({ programmed }) => programmed),
  );
  expect((await bench.get('odd.example')).body).toBe('one');
  expect((await bench.get('shop.example')).body).toBe('one');
});
