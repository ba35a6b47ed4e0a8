import { spawnSync } from 'node:child_process';
import type { ResourceVerdict } from '../../agent/haproxy/data-plane.ts';
import { type PlaneBench, service } from '../../agent/haproxy/testing/plane.fixture.ts';
import { certificate, host, split } from '../../agent/haproxy/testing/resources.fixture.ts';
import { haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';
import type { TestLeaf } from '../../agent/haproxy/testing/certificates.fixture.ts';
import type { Settings } from '../../agent/haproxy/testing/pods.fixture.ts';
import { type Resource, resource } from '../../lib/sync/index.ts';
import { hostileText, pick, randomFrom } from './hostile-text.ts';

export interface MutationOutcome {
  readonly mutants: number;
  readonly rejected: number;
  /** Milliseconds that half of the deltas took at most, and the slowest, verdicts included. */
  readonly median: number;
  readonly slowest: number;
  readonly faults: readonly string[];
}

export interface Leaves {
  readonly good: TestLeaf;
  /** Sound, but HAProxy refuses it. */
  readonly refused: TestLeaf;
  /** For `*.many.example`. */
  readonly many: TestLeaf;
}

const MUTANTS_PER_DELTA = 8;
const STEADY_SPLIT = split('steady.example', [{ path: '/', shares: [{ cluster: 'eu', share: 100_000 }] }]);

/**
 * Sends deltas in which bodies are spoilt, beside one good new service each, and looks whether what is bad is refused
 * by name, what is good is live, and what was refused serves as before.
 */
export async function mutate(
  bench: PlaneBench,
  upstream: number,
  leaves: Leaves,
  count: number,
  seed: number,
): Promise<MutationOutcome> {
  const faults: string[] = [];
  const times: number[] = [];
  let [rejected, mutants] = [0, 0];
  for (let round = 0; mutants < count; round++) {
    const random = randomFrom(seed + round);
    const originals = service('steady', [upstream]);
    const spoilt = new Map<string, Resource>();
    for (let i = 0; i < MUTANTS_PER_DELTA; i++) {
      const one = mutant(random, originals, leaves);
      spoilt.set(`${one.type}/${one.name}`, one);
    }
    mutants += spoilt.size;
    const good = service(`good${round % 16}`, [upstream]);
    const began = performance.now();
    const verdicts = await bench.plane.apply({ upserts: [...spoilt.values(), ...good], removals: [] });
    times.push(performance.now() - began);

    const fault = (text: string): number => faults.push(`round ${seed + round}: ${text}`);
    const refusals = verdicts.filter((verdict) => !verdict.programmed);
    rejected += refusals.length;
    for (const one of refusals) faults.push(...wrongRefusal(one, good).map((text) => `round ${seed + round}: ${text}`));
    const isTaken = (type: string, name: string): boolean =>
      verdicts.some((one) => one.programmed && one.key.type === type && one.key.name === name);
    if (!good.every(({ type, name }) => isTaken(type, name))) fault('a good resource was not taken');
    if ((await bench.get(`good${round % 16}.example`)).status !== 200) fault('the good service is not live');
    // A split that is valid after all may give the whole host to a cluster that does not answer.
    const touched = [...originals, STEADY_SPLIT].some(
      ({ type, name }) => spoilt.has(`${type}/${name}`) && isTaken(type, name),
    );
    if (!touched && (await bench.get('steady.example')).status !== 200) fault('the last good version does not serve');
    // What was valid after all is put back, and what is there beyond the originals taken away.
    const removals = [...spoilt.values()].filter(
      (one) => !originals.some((o) => o.type === one.type && o.name === one.name),
    );
    const back = await bench.plane.apply({ upserts: originals, removals });
    if (!back.every((verdict) => verdict.programmed)) fault(`the originals were refused: ${JSON.stringify(back)}`);
    if ((await bench.get('steady.example')).status !== 200) fault('does not serve after the originals came back');
    if (round % 10 === 0 && !isLoadable(bench.folder)) fault('the files would not load');
  }
  times.sort((a, b) => a - b);
  return { mutants, rejected, median: times[times.length >> 1] ?? 0, slowest: times.at(-1) ?? 0, faults };
}

function wrongRefusal(verdict: ResourceVerdict, good: readonly Resource[]): string[] {
  if (verdict.programmed) return [];
  const text = `${verdict.key.type}/${verdict.key.name}: ${verdict.code} ${verdict.message}`;
  const faults: string[] = [];
  if (good.some(({ type, name }) => type === verdict.key.type && name === verdict.key.name))
    faults.push(`refused although good: ${text}`);
  if (!/^HG(?:100[1-5]|5003|5005)$/.test(verdict.code) || verdict.transient)
    faults.push(`not the resource's fault: ${text}`);
  if (verdict.message === '') faults.push(`without words: ${text}`);
  return faults;
}

function isLoadable(folder: string): boolean {
  return spawnSync(haproxyBinary, ['-c', '-f', 'conf'], { cwd: folder }).status === 0;
}

function mutant(random: () => number, originals: readonly Resource[], leaves: Leaves): Resource {
  const kinds: readonly (() => Resource)[] = [
    ...Array.from({ length: 6 }, () => () => spoil(random, pick(random, originals))),
    () => spoil(random, certificate('shop/tls', ['steady.example'], leaves.good)),
    () => spoil(random, STEADY_SPLIT),
    () => certificate('shop/weak', ['steady.example'], leaves.refused),
    () =>
      certificate(
        'shop/many',
        Array.from({ length: 900 }, (_, i) => `a-rather-long-name-${i}.many.example`),
        leaves.many,
      ),
    () =>
      host(
        'many.example',
        Array.from({ length: 200 }, (_, i) => ({
          path: `/${i}/${'x'.repeat(Math.floor(random() * 800))}`,
          at: { eu: 'shop/steady/80' },
        })),
      ),
    () => treatedHost(random, leaves.good),
    () => spoil(random, treatedHost(random, leaves.good)),
    () => spoil(random, regexHost(random)),
    () => regexHost(random),
    () => host('*.many.example', [{ path: '/', at: { eu: 'shop/steady/80' } }]),
  ];
  return pick(random, kinds)();
}

/** Settings that stand in need of no reload, so that the next delta does not wait for one. */
function treatedHost(random: () => number, leaf: TestLeaf): Resource {
  const settings = pick<Settings>(random, [
    { limits: { connections: Math.floor(random() * 100) } },
    { slowStartMs: BigInt(Math.floor(random() * 1_000)) },
    { outlier: { consecutiveErrors: 3, ejectForMs: 500n } },
    { tls: { hostname: 'steady.example', ca: leaf.certificate } },
    { protocol: 2, proxyProtocol: 2 },
    hostileRuntime(random),
  ]);
  return host('treated.example', [{ path: '/', at: { eu: 'shop/steady/80' }, settings }]);
}

/** Refused, each of them. */
function hostileRuntime(random: () => number): Settings {
  const text = hostileText(random);
  return pick<Settings>(random, [
    { balance: { algorithm: 4, hashHeader: `a b${text}` } },
    { healthCheck: { type: 2, path: text } },
    { tls: { hostname: `${text} verify none` } },
    { timeouts: { connectMs: 1n << 60n } },
    { healthCheck: { type: 3, grpcService: `\0${text}` } },
  ]);
}

function regexHost(random: () => number): Resource {
  const paths = ['/a[0-9]+', `/${hostileText(random)}`, '/(a+)+', '/[^/]{2,9}\\.png'];
  return host('regex.example', [{ path: pick(random, paths), regex: true, at: { eu: 'shop/steady/80' } }]);
}

/** The same resource with another body. */
function spoil(random: () => number, { type, name, body }: Resource): Resource {
  const at = Math.floor(random() * body.length);
  const kinds: readonly (() => Buffer)[] = [
    () => Buffer.concat([body.subarray(0, at), Buffer.of(Math.floor(random() * 256)), body.subarray(at + 1)]),
    () =>
      Buffer.concat([
        body.subarray(0, at),
        Buffer.of((body[at] ?? 0) ^ (1 << Math.floor(random() * 8))),
        body.subarray(at + 1),
      ]),
    () => Buffer.from(body.subarray(0, at)),
    () => Buffer.concat([body.subarray(0, at), Buffer.from(hostileText(random)), body.subarray(at)]),
    () => Buffer.concat([body, body.subarray(at)]),
    () =>
      Buffer.concat([body.subarray(0, at), body.subarray(Math.min(body.length, at + 1 + Math.floor(random() * 8)))]),
    () => Buffer.alloc(0),
    () => Buffer.from(Array.from({ length: 64 }, () => Math.floor(random() * 256))),
  ];
  return resource(type, name, pick(random, kinds)());
}
