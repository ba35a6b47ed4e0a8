import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { backend, endpoints, host, split } from '../../agent/haproxy/testing/resources.fixture.ts';
import { sockets } from '../../agent/haproxy/model/names.ts';
import { Rig } from '../../agent/haproxy/testing/rig.fixture.ts';
import { SHARE_UNITS } from '../../lib/split/types.ts';
import type { ResourceDelta } from '../../lib/sync/index.ts';
import type { Bench, BenchOptions, BenchReport, Figure } from './bench.ts';
import { connections } from './haproxy-socket.ts';
import { cpuSeconds, residentMib } from './machine.ts';
import { median, round } from './numbers.ts';
import { PlainHaproxy } from './plain-haproxy.ts';
import { startUpstream } from './upstream.ts';
import { Wrk, type WrkResult } from './wrk.ts';

const CONNECTIONS = 32;

/** Hosts of one path, and the services that they are spread over. */
interface Size {
  readonly hosts: number;
  readonly services: number;
}

interface Target extends Size {
  readonly what: string;
  readonly bare: boolean;
  readonly port: number;
  readonly pid: number;
  readonly socket: string;
  /** Microseconds of HAProxy's CPU per request, a round each. */
  readonly cost: number[];
  readonly runs: WrkResult[];
}

const smallSizes: readonly Size[] = [
  { hosts: 1, services: 1 },
  { hosts: 100, services: 1 },
];
/** The same upstream as 1,000 services costs connections and backends of its own, apart from the routing. */
const fullSizes: readonly Size[] = [
  { hosts: 1, services: 1 },
  { hosts: 1_000, services: 1 },
  { hosts: 10_000, services: 1 },
  { hosts: 10_000, services: 1_000 },
];

/** What an entry of a fleet of three holds: each host served here, with two other clusters to fall back to. */
function configuration({ hosts, services }: Size, upstream: number): ResourceDelta {
  const names = Array.from({ length: services }, (_, i) => `bench/s${i}`);
  return {
    upserts: [
      ...names.map((name) => backend(`${name}/80`)),
      ...names.map((name) => endpoints(name, upstream, ['127.0.0.1'])),
      ...Array.from({ length: hosts }, (_, i) => {
        const at = `bench/s${i % services}/80`;
        return host(`h${i}.bench.example`, [{ path: '/', at: { eu: at, us: at, ap: at } }]);
      }),
      ...Array.from({ length: hosts }, (_, i) =>
        split(`h${i}.bench.example`, [
          { path: '/', shares: [{ cluster: 'eu', share: SHARE_UNITS }], fallbacks: ['us', 'ap'] },
        ]),
      ),
    ],
    removals: [],
  };
}

async function run({ smoke, note }: BenchOptions): Promise<BenchReport> {
  const sizes = smoke ? smallSizes : fullSizes;
  const [rounds, seconds] = smoke ? [1, 1] : [6, 4];
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'headgate-bench-'));
  stack.defer(async () => await rm(folder, { recursive: true, force: true }));
  const wrk = await Wrk.prepare(folder);
  const upstream = stack.use(await startUpstream());
  const ca = await testCa();

  const targets: Target[] = [];
  const most = Math.max(...sizes.map(({ hosts }) => hosts));
  for (const services of new Set(sizes.map((size) => size.services))) {
    const { port, pid, socket } = stack.use(await PlainHaproxy.proxy(upstream.port, services));
    const what = `bare default_backend${services === 1 ? '' : `, ${services} servers`}`;
    targets.push({ what, bare: true, port, pid, socket, hosts: most, services, cost: [], runs: [] });
  }
  for (const size of sizes) {
    const rig = stack.use(await Rig.start('eu', ca, configuration(size, upstream.port)));
    const pid = Number(/^Pid: (\d+)/m.exec(await rig.cli('show info'))?.[1]);
    const socket = join(rig.folder, sockets.worker);
    const what = `${plural(size.hosts, 'host')}, ${plural(size.services, 'service')}`;
    targets.push({ what, bare: false, port: rig.http, pid, socket, ...size, cost: [], runs: [] });
  }

  // Alternating, so that what else the machine does falls on all alike; the first round only warms up.
  for (let number = smoke ? 1 : 0; number <= rounds; number++) {
    note(number === 0 ? 'warming up' : `round ${number} of ${rounds}`);
    for (const one of targets) {
      const before = await cpuSeconds(one.pid);
      const result = await wrk.run(one.port, one.hosts, number === 0 ? 1 : seconds, CONNECTIONS);
      const spent = (await cpuSeconds(one.pid)) - before;
      if (number === 0) continue;
      one.cost.push((1e6 * spent) / result.requests);
      one.runs.push(result);
    }
  }

  const rows = await Promise.all(
    targets.map(async (one) => {
      const { opened, reused } = await connections(one.socket);
      return [
        one.what,
        round(median(one.cost), 1),
        round(Math.min(...one.cost), 1),
        ratio(one, bareOf(targets, one.services)),
        ratio(
          one,
          targets.find(({ bare }) => !bare),
        ),
        Math.round(median(one.runs.map(({ requests }) => requests)) / seconds),
        round(median(one.runs.map(({ p99 }) => p99)) / 1_000, 1),
        lost(one),
        round((100 * reused) / (opened + reused), 1),
        Math.round(await residentMib(one.pid)),
      ];
    }),
  );
  const title = `HAProxy CPU per request: one thread, HTTP/1.1 kept alive, ${CONNECTIONS} connections, hosts drawn at random, upstream ${upstream.program}; ${rounds} alternating rounds of ${seconds} s`;
  const columns = [
    'configuration',
    'µs median',
    'least',
    '÷ bare',
    '÷ 1 host',
    'requests/s',
    'p99 ms',
    'failed',
    'reused %',
    'RSS MiB',
  ];
  return {
    tables: [{ title, columns, rows }],
    figures: smoke ? [] : figures(targets),
    faults: targets.flatMap((one) => (lost(one) === 0 ? [] : [`${lost(one)} requests failed: ${one.what}`])),
  };
}

function figures(targets: readonly Target[]): Figure[] {
  const of = (hosts: number) => targets.find((one) => !one.bare && one.services === 1 && one.hosts === hosts);
  const large = of(10_000);
  if (large === undefined) return [];
  const bare = bareOf(targets, 1);
  return [
    { what: 'CPU per request at 10,000 hosts ÷ at 1 host', limit: 1.3, seen: ratio(large, of(1)), unit: '' },
    { what: 'CPU per request at 10,000 hosts ÷ bare default_backend', limit: 1.3, seen: ratio(large, bare), unit: '' },
  ];
}

function bareOf(targets: readonly Target[], services: number): Target | undefined {
  return targets.find((one) => one.bare && one.services === services);
}

/** Of medians. */
function ratio(one: Target, reference: Target | undefined): number {
  return reference === undefined ? Number.NaN : round(median(one.cost) / median(reference.cost), 2);
}

function lost({ runs }: Target): number {
  return runs.reduce((sum, { failed }) => sum + failed, 0);
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

export const haproxyCpu: Bench = {
  name: 'haproxy-cpu',
  summary: "HAProxy's CPU per request at 1 to 10,000 hosts, against a bare default_backend",
  run,
};
