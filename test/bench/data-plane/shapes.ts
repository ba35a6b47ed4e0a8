import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { files as names } from '../../../agent/haproxy/model/names.ts';
import { combinedPem } from '../../../agent/haproxy/model/pem.ts';
import { testCa } from '../../../agent/haproxy/testing/certificates.fixture.ts';
import { freePort } from '../../../agent/haproxy/testing/rig.fixture.ts';
import type { Bench, BenchOptions, BenchReport, Figure } from '../bench.ts';
import { cpuSeconds } from '../machine.ts';
import { median, round } from '../numbers.ts';
import { PlainHaproxy } from '../plain-haproxy.ts';
import { startUpstream } from '../upstream.ts';
import { Wrk } from '../wrk.ts';
import { linearRules } from './common-path.ts';
import { bare, chain, directories, featureRules, featureSections, headgate, type Shape } from './shape.ts';

const CONNECTIONS = 32;

interface Target {
  readonly shape: Shape;
  readonly hosts: number;
  readonly features: boolean;
  readonly haproxy: PlainHaproxy;
  /** Microseconds of HAProxy's CPU per request, a round each: hosts asked as often as any, and skewed. */
  readonly even: number[];
  readonly skewed: number[];
  failed: number;
}

async function run({ smoke, large, note }: BenchOptions): Promise<BenchReport> {
  const sizes = smoke ? [100] : large ? [1, 1_000, 10_000, 100_000] : [1, 1_000, 10_000];
  const [rounds, seconds] = smoke ? [1, 1] : [6, 2];
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'hb-'));
  stack.defer(async () => await rm(folder, { recursive: true, force: true }));
  const wrk = await Wrk.prepare(folder);
  const upstream = stack.use(await startUpstream());
  const ca = await testCa();
  const [gateway, self] = [await ca.leaf('eu.gateway.headgate'), await ca.leaf('default.headgate.invalid')];
  const ours = headgate({
    gatewayCertificate: combinedPem(gateway.certificate, gateway.key),
    gatewayCa: ca.certificate,
    defaultCertificate: combinedPem(self.certificate, self.key),
  });

  const faults: string[] = [];
  const targets: Target[] = [];
  const add = async (shape: Shape, hosts: number, features: boolean): Promise<void> => {
    const port = await freePort();
    const rules = features ? featureRules : () => [];
    const { lines, files } = shape.sections(hosts, upstream.port, `127.0.0.1:${port}`, rules);
    const all = [...lines, ...(features ? featureSections : [])];
    if (shape === ours) {
      const text = `${all.join('\n')}\n`;
      faults.push(...linearRules(text).map((line) => `a list on the common path: ${line}`));
      const written = new Map([...files, [names.base, text]]);
      const haproxy = stack.use(await PlainHaproxy.of(port, names.configuration, written));
      targets.push({ shape, hosts, features, haproxy, even: [], skewed: [], failed: 0 });
      return;
    }
    const haproxy = stack.use(await PlainHaproxy.of(port, 'haproxy.cfg', files, all));
    targets.push({ shape, hosts, features, haproxy, even: [], skewed: [], failed: 0 });
  };
  await add(bare, Math.max(...sizes), false);
  for (const hosts of sizes) {
    for (const shape of [ours, chain, directories]) {
      note(`starting ${shape.what}, ${hosts} hosts`);
      for (const features of [false, true]) await add(shape, hosts, features);
    }
  }

  // Alternating, so that what else the machine does falls on all alike; the first round only warms up.
  for (let number = smoke ? 1 : 0; number <= rounds; number++) {
    note(number === 0 ? 'warming up' : `round ${number} of ${rounds}`);
    for (const one of targets) {
      for (const skewed of [false, true]) {
        const before = await cpuSeconds(one.haproxy.pid);
        const length = number === 0 ? 1 : seconds;
        const result = await wrk.run(one.haproxy.port, one.hosts, length, CONNECTIONS, skewed);
        const spent = (await cpuSeconds(one.haproxy.pid)) - before;
        if (number > 0) (skewed ? one.skewed : one.even).push((1e6 * spent) / result.requests);
        one.failed += result.failed;
      }
    }
  }

  const reference = targets[0];
  const rows = targets.map((one) => [
    one.shape.what,
    one.shape === bare ? '-' : one.hosts,
    one.features ? 'on' : 'off',
    round(median(one.even), 1),
    round(Math.min(...one.even), 1),
    ratio(one.even, reference?.even),
    round(median(one.skewed), 1),
    ratio(one.skewed, reference?.skewed),
    one.failed,
  ]);
  const title = `HAProxy CPU per request by shape of the configuration: one thread, HTTP/1.1 kept alive, ${CONNECTIONS} connections, one service, upstream ${upstream.program}; features: a stick table asked for a rate and a line of JSON to a ring, as they are to be rendered; skewed: the n-th host asked for 1/n as often as the first; ${rounds} alternating rounds of ${seconds} s`;
  const columns = [
    'configuration',
    'hosts',
    'features',
    'µs median',
    'least',
    '÷ bare',
    'µs skewed',
    '÷ bare, skewed',
    'failed',
  ];
  faults.push(
    ...targets.filter(({ failed }) => failed > 0).map((one) => `${one.failed} requests failed: ${one.shape.what}`),
  );
  const at = (hosts: number, features: boolean): Target | undefined =>
    targets.find((one) => one.shape === ours && one.hosts === hosts && one.features === features);
  const figures: Figure[] = smoke
    ? []
    : [
        ['CPU per request at 10,000 hosts ÷ at 1 host', at(10_000, false)?.even, at(1, false)?.even, 1.3] as const,
        ['10,000 hosts ÷ bare default_backend, routing only', at(10_000, false)?.even, reference?.even, 1.3] as const,
        ['the same, with limit and JSON log', at(10_000, true)?.even, reference?.even, 1.7] as const,
      ].map(([what, seen, of, limit]) => ({ what, limit, seen: ratio(seen, of), unit: '' }));
  return { tables: [{ title, columns, rows }], figures, faults };
}

/** Of medians. */
function ratio(one: readonly number[] | undefined, reference: readonly number[] | undefined): number {
  return one === undefined || reference === undefined ? Number.NaN : round(median(one) / median(reference), 2);
}

export const shapes: Bench = {
  name: 'data-plane:shapes',
  summary: "HAProxy's CPU per request at 1 to 100,000 hosts, beside the shapes that other controllers write",
  run,
};
