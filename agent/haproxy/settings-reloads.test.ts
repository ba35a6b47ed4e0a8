import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ResourceVerdict } from './data-plane.ts';
import { probeHaproxy } from './process/probe.ts';
import { PlaneBench, keepAliveLoad, until } from './testing/plane.fixture.ts';
import { host } from './testing/resources.fixture.ts';
import { haproxyBinary } from './testing/rig.fixture.ts';
import { slices, treated, type Settings } from './testing/pods.fixture.ts';

const stack = new AsyncDisposableStack();
let bench: PlaneBench;
let port: number;

const refused = (verdicts: readonly ResourceVerdict[]) =>
  verdicts.flatMap((one) => (one.programmed ? [] : [{ name: one.key.name, code: one.code, transient: one.transient }]));

beforeAll(async () => {
  bench = stack.use(await PlaneBench.make());
  ({ port } = await bench.upstream('pod'));
  await bench.start([...treated('plain', undefined), ...treated('first', undefined), ...slices('plain', [port])]);
}, 60_000);

afterAll(() => stack.disposeAsync());

test('new settings cost one reload at once, and many that come after it share the next', async () => {
  await using load = keepAliveLoad(bench.http, 'plain.example');
  const reloads = (): number => bench.plane.status().reloads.get('backend-settings') ?? 0;
  await bench.apply([...treated('first', { timeouts: { connectMs: 100n } }), ...slices('first', [port])]);
  expect(reloads()).toBe(1);
  expect((await bench.get('first.example')).body).toBe('pod');

  const many = Array.from({ length: 12 }, (_, i) =>
    treated(`many${i}`, { timeouts: { connectMs: BigInt(200 + (i % 4)), responseMs: BigInt(1_000 + i) } }),
  ).flat();
  const again = treated('first', { balance: { algorithm: 2 } });
  const others = [
    ...Array.from({ length: 12 }, (_, i) => slices(`many${i}`, [port])).flat(),
    ...treated('ordinary', { limits: { connections: 50 } }),
    ...slices('ordinary', [port]),
  ];
  const waiting = [...many, ...again];
  const answer = refused(await bench.plane.apply({ upserts: [...waiting, ...others], removals: [] }));
  expect(answer).toHaveLength(13);
  expect(new Set(answer.map(({ code, transient }) => `${code} ${String(transient)}`))).toEqual(
    new Set(['HG5006 true']),
  );
  expect((await bench.get('ordinary.example')).body).toBe('pod');
  expect((await bench.get('first.example')).body).toBe('pod');
  expect((await bench.get('many3.example')).status).toBe(404);

  // As a node agent does, each for itself.
  await until(
    async () => reloads(),
    (count) => count === 2,
  );
  for (const one of waiting) await bench.apply([one]);
  expect(reloads()).toBe(2);
  for (let i = 0; i < 12; i++) expect((await bench.get(`many${i}.example`)).body).toBe('pod');
  await load.stop();
  expect(load.failures).toEqual([]);
});

test('settings that are options of servers or values of maps change without a reload', async () => {
  const before = new Map(bench.plane.status().reloads);
  const several: Settings[] = [
    { limits: { connections: 7 } },
    { slowStartMs: 1_000n },
    { outlier: { consecutiveErrors: 3, ejectForMs: 900n } },
    { healthCheck: { intervalMs: 1_000n, rise: 2, fall: 4 } },
    { healthCheck: { type: 4 } },
    {},
  ];
  for (const settings of several) {
    await bench.apply(treated('plain', settings));
    expect((await bench.get('plain.example')).body).toBe('pod');
  }
  expect(bench.plane.status().reloads).toEqual(before);
});

test('routes of one service may be treated each in their own way', async () => {
  const at = { eu: 'shop/plain/80' };
  const before = bench.plane.status().sparesLeft;
  await bench.apply([
    host('ways.example', [
      { path: '/', at, settings: { limits: { connections: 3 } } },
      { path: '/slow', at, settings: { slowStartMs: 500n } },
    ]),
  ]);
  for (const path of ['/', '/slow']) expect((await bench.get('ways.example', path)).body).toBe('pod');
  expect(bench.plane.status().sparesLeft).toBe(before - 2);
});

test('metrics go by service: over a reload, over another slot, and not to who gets the slot next', async () => {
  const requests = async (service: string): Promise<number> => {
    const text = await bench.plane.metrics();
    const line = new RegExp(
      `^haproxy_backend_http_requests_total\\{namespace="shop",service="${service}",port="80"\\} (\\d+)$`,
      'm',
    );
    return Number(line.exec(text)?.[1] ?? 0);
  };
  await bench.apply([...treated('old', undefined), ...slices('old', [port])]);
  for (let i = 0; i < 5; i++) await bench.get('old.example');
  expect(await requests('old')).toBe(5);
  await bench.apply(treated('old', { limits: { connections: 20 } }));
  for (let i = 0; i < 2; i++) await bench.get('old.example');
  expect(await requests('old')).toBe(7);
  // Gets the slot that the old settings have left.
  await bench.apply([...treated('new', undefined), ...slices('new', [port])]);
  await bench.get('new.example');
  expect([await requests('old'), await requests('new')]).toEqual([7, 1]);
  await bench.get('new.example');
  await until(
    async () => await bench.plane.apply({ upserts: treated('last', { timeouts: { connectMs: 901n } }), removals: [] }),
    (verdicts) => verdicts.every(({ programmed }) => programmed),
  );
  expect([await requests('old'), await requests('new')]).toEqual([7, 2]);
  await bench.get('old.example');
  expect([await requests('old'), await requests('new')]).toEqual([8, 2]);
});

test('settings that HAProxy refuses to load are undone alone, and the last good ones serve', async () => {
  await using other = await PlaneBench.make();
  const { path } = await probeHaproxy(haproxyBinary);
  const picky = join(other.folder, 'picky');
  await writeFile(
    picky,
    `#!/bin/sh\ncase "$*" in *-c*) if grep -rqs 'timeout connect 777ms' conf; then echo '[ALERT] (1) : I do not like it' >&2; exit 1; fi;; esac\nexec ${path} "$@"\n`,
    { mode: 0o755 },
  );
  await other.start([...treated('plain', { limits: { connections: 5 } }), ...slices('plain', [port])], {
    haproxy: picky,
  });
  const upserts = [
    ...treated('plain', { timeouts: { connectMs: 777n } }),
    ...treated('fine', undefined),
    ...slices('fine', [port]),
  ];
  const verdicts = await other.plane.apply({ upserts, removals: [] });
  const words = verdicts.flatMap((one) => (one.programmed ? [] : [[one.key.name, one.code, one.haproxy]]));
  expect(words).toEqual([['plain.example', 'HG5003', expect.stringContaining('I do not like it')]]);
  for (const name of ['plain', 'fine']) expect((await other.get(`${name}.example`)).body).toBe('pod');
  await until(
    async () => await other.plane.apply({ upserts: treated('next', { retries: { attempts: 9 } }), removals: [] }),
    (answer) => answer.every(({ programmed }) => programmed),
  );
  expect((await other.get('plain.example')).body).toBe('pod');
});
