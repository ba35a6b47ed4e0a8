import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { ResourceVerdict } from '../../agent/haproxy/data-plane.ts';
import { PlaneBench, service, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { shortKeyLeaf, testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { slices, treated } from '../../agent/haproxy/testing/pods.fixture.ts';
import { certificate } from '../../agent/haproxy/testing/resources.fixture.ts';
import { haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';
import { report } from './report.ts';

const ROUTES = 1_000;
/** What the promise gives, and what a busy machine may add. Milliseconds. */
const FOUND = 2_000 + 6_000;

/** A HAProxy that runs `script` before each check. */
function checkedBy(folder: string, script: string): string {
  const path = join(folder, 'checked-haproxy');
  const real = execFileSync('sh', ['-c', 'command -v "$1"', 'sh', haproxyBinary]).toString().trim();
  writeFileSync(path, `#!/bin/sh\ncase "$*" in *"-c -f conf"*)\n${script}\n;; esac\nexec ${real} "$@"\n`, {
    mode: 0o700,
  });
  return path;
}

const refusing = (words: string): string =>
  `if grep -rqs '${words}' conf; then echo '[ALERT] (1) : config : I do not like it' >&2; exit 1; fi`;

function refused(verdicts: readonly ResourceVerdict[]): readonly string[] {
  return verdicts.flatMap(({ programmed, key }) => (programmed ? [] : [`${key.type}/${key.name}`])).toSorted();
}

it('of several new profiles that one file brings the guilty ones are rejected by name; the others go live', async () => {
  await using bench = await PlaneBench.make();
  const { port } = await bench.upstream('one');
  const all = Array.from({ length: ROUTES }, (_, i) => service(`site${i}`, [port])).flat();
  const old = treated('guilty1', { limits: { connections: 5 } });
  await bench.start([...all, ...old, ...slices('guilty1', [port])], {
    haproxy: checkedBy(bench.folder, refusing('timeout connect 77[0-9]ms')),
  });
  const upserts = [
    ...[1, 2, 3].flatMap((i) => treated(`guilty${i}`, { timeouts: { connectMs: BigInt(770 + (i % 2)) } })),
    ...Array.from({ length: 6 }, (_, i) => treated(`fine${i}`, { timeouts: { connectMs: BigInt(400 + i) } })).flat(),
    ...Array.from({ length: 6 }, (_, i) => slices(`fine${i}`, [port])).flat(),
    ...service('plain', [port]),
  ];
  const began = performance.now();
  const verdicts = await bench.plane.apply({ upserts, removals: [] });
  const ms = performance.now() - began;
  report('guilty profiles among 9 at 1,000 routes', { 'found and left out after ms': ms });
  expect(refused(verdicts)).toEqual([1, 2, 3].map((i) => `host/guilty${i}.example`));
  expect(verdicts.find(({ programmed }) => !programmed)).toMatchObject({
    haproxy: expect.stringContaining('I do not like it'),
  });
  expect(ms).toBeLessThan(FOUND);
  for (const name of ['site0', 'fine0', 'fine5', 'plain', 'guilty1']) {
    expect([name, (await bench.get(`${name}.example`)).body]).toEqual([name, 'one']);
  }
  expect((await bench.get('guilty2.example')).status).toBe(404);
  expect(bench.plane.status()).toMatchObject({ ready: true, reason: '' });
});

it('a profile that many wait for and HAProxy refuses costs none of them what serves, and the others their place', async () => {
  await using bench = await PlaneBench.make();
  const { port } = await bench.upstream('one');
  const names = ['guilty', 'fine'];
  await bench.start(
    names.flatMap((name) => [...treated(name, { limits: { connections: 5 } }), ...slices(name, [port])]),
    { haproxy: checkedBy(bench.folder, refusing('timeout connect 777ms')) },
  );
  // Uses up what may be reloaded at once.
  await bench.apply(treated('first', { retries: { attempts: 9 } }));
  const waiting = [
    ...treated('guilty', { timeouts: { connectMs: 777n } }),
    ...treated('fine', { timeouts: { connectMs: 400n } }),
  ].filter(({ type }) => type === 'host');
  expect(refused(await bench.plane.apply({ upserts: waiting, removals: [] }))).toHaveLength(2);
  const again = async (i: number): Promise<ResourceVerdict | undefined> =>
    (await bench.plane.apply({ upserts: waiting.slice(i, i + 1), removals: [] }))[0];
  await until(
    async () => await again(1),
    (verdict) => verdict?.programmed === true,
  );
  const { seen } = await until(
    async () => await again(0),
    (verdict) => verdict?.programmed === false && !verdict.transient,
  );
  expect(seen).toMatchObject({ haproxy: expect.stringContaining('I do not like it') });
  for (const name of names) expect((await bench.get(`${name}.example`)).body).toBe('one');
  expect(bench.plane.status()).toMatchObject({ ready: true, reason: '' });
});

it('a certificate that only its own worker can judge fails a reload alone: it is named and the rest is live', async () => {
  await using bench = await PlaneBench.make();
  const { port } = await bench.upstream('one');
  const copies = join(bench.folder, 'copies');
  // Whatever a check could read of a configuration's own folder.
  await bench.start(service('shop', [port]), {
    haproxy: checkedBy(bench.folder, `find . -type f -exec cat {} + >> ${copies}`),
  });
  const ca = await testCa();
  const fine = await ca.leaf('shop.example', ['shop.example']);
  const weak = await shortKeyLeaf('weak.example');
  const verdicts = await bench.plane.apply({
    upserts: [
      certificate('shop/fine', ['shop.example'], fine),
      certificate('shop/weak', ['weak.example'], weak),
      ...service('weak', [port]),
      // As many as need a reload.
      ...Array.from({ length: 80 }, (_, i) => service(`birth${i}`, [port])).flat(),
    ],
    removals: [],
  });
  expect(refused(verdicts)).toEqual(['own-certificate/shop/weak']);
  expect(verdicts.find(({ programmed }) => !programmed)).toMatchObject({
    haproxy: expect.stringMatching(/certs\/c-[0-9a-f]+\.pem/),
  });
  for (const name of ['shop', 'weak', 'birth79']) expect((await bench.get(`${name}.example`)).body).toBe('one');
  expect(bench.plane.status()).toMatchObject({ ready: true, reason: '' });
  const seen = readFileSync(copies, 'utf8');
  expect(seen).toContain('backend s0079');
  const secrets = [fine.key, weak.key, bench.gateway.privateKey].map((pem) => pem.split('\n').slice(1, 3).join('\n'));
  expect(secrets.filter((secret) => seen.includes(secret))).toEqual([]);
});
