import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { BackendSettings } from '../../../proto/gen/headgate/v1/configured.ts';
import type { Slot } from '../model/desired.ts';
import { mapFile, slotName } from '../model/names.ts';
import { profileOf } from '../model/profile.ts';
import { checkSettings } from '../plan/settings.ts';
import { probeHaproxy } from '../process/probe.ts';
import { haproxyBinary } from '../testing/rig.fixture.ts';
import { slotsFile } from './pools.ts';
import { poolNameLines } from './reuse.ts';

const ms = fc.bigInt({ min: 0n, max: 86_400_000n });
const optional = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(one, { nil: undefined });
const visible = fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)) });
const name = fc.stringMatching(/^[A-Za-z0-9_.-]{1,20}$/);
const status = fc.integer({ min: 100, max: 599 });

/** Whatever passes the check, with the most hostile text that does. */
const settings: fc.Arbitrary<BackendSettings> = fc
  .record({
    protocol: fc.constantFrom(0, 1, 2),
    tls: optional(fc.record({ hostname: fc.constantFrom('a.example', 'b.example'), insecure: fc.boolean() })),
    proxyProtocol: fc.constantFrom(0, 1, 2),
    passthrough: fc.boolean(),
    timeouts: optional(fc.record({ connectMs: ms, queueMs: ms, responseMs: ms, tunnelMs: ms })),
    retries: optional(
      fc.record({ attempts: fc.integer({ min: 0, max: 100 }), on: fc.array(fc.constantFrom(1, 2, 3, 4)) }),
    ),
    balance: optional(
      fc.record({ algorithm: fc.constantFrom(1, 2, 3, 4), hashHeader: name, hashSource: fc.boolean() }),
    ),
    healthCheck: optional(
      fc.record({
        type: fc.constantFrom(0, 1, 2, 3, 4),
        intervalMs: ms,
        timeoutMs: ms,
        rise: fc.integer({ min: 0, max: 1_000 }),
        fall: fc.integer({ min: 0, max: 1_000 }),
        port: fc.integer({ min: 0, max: 65_535 }),
        path: visible.map((text) => `/${text}`),
        host: fc.constantFrom('', 'h.example'),
        statusFrom: status,
        statusTo: fc.constant(599),
        grpcService: name,
      }),
    ),
    outlier: optional(
      fc.record({
        consecutiveErrors: fc.integer({ min: 0, max: 10_000 }),
        serverErrors: fc.boolean(),
        ejectForMs: ms,
      }),
    ),
    slowStartMs: ms,
    limits: optional(
      fc.record({ connections: fc.integer({ min: 0, max: 1_000_000 }), queue: fc.integer({ min: 0, max: 1_000_000 }) }),
    ),
    endpointCookie: fc.boolean(),
  })
  .map((shape) => checkSettings(BackendSettings.create(shape), 'settings'));

/** Words of a line as HAProxy reads them (manual, 2.2), for strong quotes and plain text. */
function wordsOf(line: string): string[] {
  const found: string[] = [];
  for (const [text] of line.matchAll(/(?:'[^']*'|\\.|[^\s'\\])+/g)) {
    found.push(text.replaceAll(/'([^']*)'|\\(.)/g, (_, quoted?: string, escaped?: string) => quoted ?? escaped ?? ''));
  }
  return found;
}

test('whatever settings pass the check, HAProxy takes all their slots, and nothing in them is more than a word', async () => {
  const slots = fc.sample(settings, { numRuns: 400, seed: 7 }).map((one, i): Slot => ({
    name: slotName(i),
    profile: profileOf(one),
    backend: 'd/a/80',
    settings: one,
    servers: new Map([['e-1', { name: 'e-1', address: '10.0.0.1', port: 80, id: 7, state: 'ready' }]]),
  }));
  const text = slotsFile(slots, 'k');
  const blocks = text.split(/^(?=backend )/m);
  expect(blocks).toHaveLength(slots.length);
  for (const [i, { profile }] of slots.entries()) {
    const lines = (blocks[i] ?? '').split('\n').map(wordsOf);
    const { check } = profile;
    if (check.type !== 'http') continue;
    const sent = lines.find(([first, second]) => first === 'http-check' && second === 'send');
    expect(sent).toEqual([
      'http-check',
      'send',
      'meth',
      'GET',
      'uri',
      check.path,
      'ver',
      'HTTP/1.1',
      'hdr',
      'host',
      check.host || 'localhost',
    ]);
  }
  const folder = await mkdtemp(join(tmpdir(), 'headgate-settings-'));
  try {
    await mkdir(join(folder, 'maps'));
    for (const map of ['response', 'tunnel', 'queue', 'kept'] as const) await writeFile(join(folder, mapFile(map)), '');
    const head = [
      'global',
      ...poolNameLines,
      'defaults',
      '  mode http',
      '  timeout connect 1s',
      '  timeout client 1s',
      '  timeout server 1s',
      'frontend f',
      '  bind unix@f.sock',
      '',
    ];
    await writeFile(join(folder, 'all.cfg'), `${head.join('\n')}${text}`);
    const { path } = await probeHaproxy(haproxyBinary);
    const { stderr } = await promisify(execFile)(path, ['-c', '-f', 'all.cfg'], { cwd: folder, env: {} });
    expect(stderr).not.toMatch(/ALERT|WARNING/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
