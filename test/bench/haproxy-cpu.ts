import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testCa } from '../../agent/haproxy/testing/certificates.ts';
import { backend, endpoints, host, split } from '../../agent/haproxy/testing/resources.ts';
import { Rig } from '../../agent/haproxy/testing/rig.ts';
import { SHARE_UNITS } from '../../lib/split/types.ts';
import type { ResourceDelta } from '../../lib/sync/index.ts';
import type { Bench, BenchOptions, BenchReport, Figure } from './bench.ts';
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

interface Target {
  readonly what: string;
  readonly port: number;
  readonly pid: number;
  readonly hosts: number;
  /** Microseconds of HAProxy's CPU per request, a round each. */
  readonly cost: number[];
  readonly runs: WrkResult[];
}

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
  const sizes: readonly Size[] = smoke
    ? [
        { hosts: 1, services: 1 },
        { hosts: 100, services: 1 },
      ]
    : [
        { hosts: 1, services: 1 },
        { hosts: 1_000, services: 1 },
        { hosts: 10_000, services: 1 },
        { hosts: 10_000, services: 1_000 },
      ];
  const [rounds, seconds] = smoke ? [1, 1] : [7, 4];
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'headgate-bench-'));
  stack.defer(async () => await rm(folder, { recursive: true, force: true }));
  const wrk = await Wrk.prepare(folder);
  const upstream = stack.use(await startUpstream());
  const ca = await testCa();

  const plain = stack.use(await PlainHaproxy.proxy(upstream.port));
  const most = Math.max(...sizes.map(({ hosts }) => hosts));
  const target = (what: string, port: number, pid: number, hosts: number): Target => {
    return { what, port, pid, hosts, cost: [], runs: [] };
  };
  const bare = target('bare default_backend', plain.port, plain.pid, most);
  const targets = [bare];
  for (const size of sizes) {
    const rig = stack.use(await Rig.start('eu', ca, configuration(size, upstream.port)));
    const pid = Number(/^Pid: (\d+)/m.exec(await rig.cli('show info'))?.[1]);
    const services = size.services === 1 ? '1 service' : `${size.services} services`;
    targets.push(target(`${size.hosts} host${size.hosts === 1 ? '' : 's'}, ${services}`, rig.http, pid, size.hosts));
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

  const reference = median(bare.cost);
  const single = median(targets[1]?.cost ?? []);
  const rows = await Promise.all(
    targets.map(async ({ what, pid, cost, runs }) => {
      const own = median(cost);
      return [
        what,
        round(own, 1),
        round(Math.min(...cost), 1),
        round(own / reference, 2),
        round(own / single, 2),
        Math.round(median(runs.map(({ requests }) => requests)) / seconds),
        round(median(runs.map(({ p99 }) => p99)) / 1_000, 1),
        runs.reduce((sum, { failed }) => sum + failed, 0),
        Math.round(await residentMib(pid)),
      ];
    }),
  );
  const failed = targets.flatMap(({ what, runs }) => {
    const sum = runs.reduce((count, run) => count + run.failed, 0);
    return sum === 0 ? [] : [`${sum} requests failed: ${what}`];
  });
  return {
    tables: [
      {
        title: `HAProxy CPU per request, one thread, HTTP/1.1 kept alive, ${CONNECTIONS} connections, upstream ${upstream.program}; medians of ${rounds} rounds of ${seconds} s`,
        columns: [
          'configuration',
          'µs CPU',
          'least',
          '÷ bare',
          '÷ 1 host',
          'requests/s',
          'p99 ms',
          'failed',
          'RSS MiB',
        ],
        rows,
      },
    ],
    figures: smoke ? [] : figures(targets, reference, single),
    faults: failed,
  };
}

function figures(targets: readonly Target[], reference: number, single: number): Figure[] {
  const large = targets.find(({ hosts, what }) => hosts === 10_000 && what.endsWith('1 service'));
  const cost = median(large?.cost ?? []);
  return [
    { what: 'CPU per request at 10,000 hosts ÷ at 1 host', limit: 1.3, seen: round(cost / single, 2), unit: '' },
    { what: 'CPU per request at 10,000 hosts ÷ bare', limit: 1.3, seen: round(cost / reference, 2), unit: '' },
  ];
}

export const haproxyCpu: Bench = {
  name: 'haproxy-cpu',
  summary: "HAProxy's CPU per request at 1 to 10,000 hosts, against a bare default_backend",
  run,
};
