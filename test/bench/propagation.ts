import { setTimeout as sleep } from 'node:timers/promises';
import { pathOf } from '../../cli/client.ts';
import type { Bench, BenchOptions, BenchReport, Figure } from './bench.ts';
import { Changes, type Kind } from './fleet/changes.ts';
import { Connection, firstSeen } from './fleet/poller.ts';
import { PlainHaproxy } from './plain-haproxy.ts';
import { BenchFleet, lost } from './fleet/bench-fleet.ts';
import { percentile, round, spread } from './numbers.ts';

/** Of changes, the reference apart. */
const KINDS = 5;
/** Milliseconds in which nothing changes, while the load runs. */
const IDLE = 3_000;
const CLUSTERS = ['eu', 'us', 'ap'];

/** Milliseconds by row, over all samples. */
type Samples = Map<string, number[]>;

const REFERENCE = 'reference: one entry added by hand to the map of a bare HAProxy';

async function sample(fleet: BenchFleet, bare: PlainHaproxy, count: number): Promise<Samples> {
  const samples: Samples = new Map();
  const changes = await Changes.prepare(fleet, (host, weights) =>
    fleet.hub.call('POST', pathOf('weights'), { body: { host, weights } }),
  );
  using connection = new Connection(`127.0.0.1:${bare.port}`);
  const kinds = [referenceKind(bare, connection), ...changes.kinds];
  for (let i = 0; i < count; i++) {
    for (const kind of kinds) {
      for (const [row, ms] of await once(kind, i)) samples.set(row, [...(samples.get(row) ?? []), ms]);
      // Not in step with any timer of the fleet.
      await sleep(50 + ((i * 37) % 100));
    }
  }
  return samples;
}

/** What looking, and HAProxy itself, take on this machine at this time. */
function referenceKind(bare: PlainHaproxy, connection: Connection): Kind {
  return {
    name: 'reference',
    rows: new Map([[REFERENCE, ['bare']]]),
    change: (number) => {
      const host = `bare-${number}.bench.example`;
      const look = async (): Promise<boolean> => (await connection.get(host, '/')).status === 200;
      return {
        looks: [{ cluster: 'bare', at: firstSeen(look, 'an entry of a map') }],
        act: async () => {
          const since = performance.now();
          await bare.addHost(host);
          return since;
        },
      };
    },
  };
}

/** @returns milliseconds by row: until the last entry shows the change, and for some kinds until the own one does. */
async function once(kind: Kind, number: number): Promise<Map<string, number>> {
  const { act, looks } = kind.change(number);
  const seen = looks.map(async ({ cluster, at }) => [cluster, await at] as const);
  const since = await act();
  const times = new Map(await Promise.all(seen));
  const rows = new Map<string, number>();
  for (const [row, clusters] of kind.rows) {
    // A change that an API call made may be live before the call returns.
    rows.set(row, Math.max(0, ...clusters.map((cluster) => (times.get(cluster) ?? Number.NaN) - since)));
  }
  return rows;
}

async function run({ smoke, note }: BenchOptions): Promise<BenchReport> {
  const [sizes, count] = smoke ? [[10], 2] : [[10, 1_000], 50];
  const rows: (string | number)[][] = [];
  const figures: Figure[] = [];
  const faults: string[] = [];
  const traffic: (string | number)[][] = [];
  for (const routes of sizes) {
    const started = performance.now();
    await using bare = await PlainHaproxy.mapped();
    await using fleet = await BenchFleet.start(CLUSTERS, routes);
    note(
      `${routes} routes: fleet of ${CLUSTERS.length} serves after ${round((performance.now() - started) / 1_000, 1)} s`,
    );
    await using load = await fleet.load();
    const before = await fleet.reloads();
    const idleFrom = await fleet.cpu();
    await sleep(IDLE);
    const cpuBefore = await fleet.cpu();
    const samples = await sample(fleet, bare, count);
    const cpu = await fleet.cpu();
    const result = await load.stop();
    const after = await fleet.reloads();
    const reloads = [...after].reduce((sum, [name, total]) => sum + total - (before.get(name) ?? 0), 0);
    for (const [row, ms] of samples) {
      const [p50, p99] = [percentile(ms, 0.5), percentile(ms, 0.99)];
      const ratio = round(p50 / percentile(samples.get(REFERENCE) ?? [], 0.5), 1);
      rows.push([routes, row, ms.length, ...spread(ms), ratio]);
      if (routes === 1_000 && row !== REFERENCE) figures.push(...figuresOf(row, p50, p99));
    }
    const made = KINDS * count;
    traffic.push([
      routes,
      result.requests,
      result.failed,
      reloads,
      each(cpuBefore.hub - idleFrom.hub, IDLE / 1_000),
      each(cpuBefore.agents - idleFrom.agents, IDLE / 1_000),
      each(cpu.hub - cpuBefore.hub, made),
      each(cpu.agents - cpuBefore.agents, made),
    ]);
    if (reloads > 0) faults.push(`${reloads} reloads at ${routes} routes`);
    faults.push(...lost(result));
  }
  return {
    tables: [
      {
        title:
          'One change, from the rename of a file (weight: from the return of the API call) until an outside client sees it, ms',
        columns: ['routes', 'change', 'samples', 'p50', 'p99', 'most', 'p50 ÷ reference'],
        rows,
      },
      {
        title: "Meanwhile, a steady load through all entries, reloads by HAProxy's own count, and CPU",
        columns: [
          'routes',
          'requests',
          'failed',
          'reloads',
          'hub idle, ms/s',
          'all agents',
          'hub, ms/change',
          'all agents',
        ],
        rows: traffic,
      },
    ],
    figures,
    faults,
  };
}

/** @returns milliseconds. */
function each(seconds: number, count: number): number {
  return round((1_000 * seconds) / count, 1);
}

function figuresOf(row: string, p50: number, p99: number): Figure[] {
  const own = row === 'endpoint, own cluster';
  const [half, most] = own ? [8, 100] : [50, 250];
  return [
    { what: `${row}, 1,000 routes, p50`, limit: half, seen: round(p50, 1), unit: 'ms' },
    { what: `${row}, 1,000 routes, p99`, limit: most, seen: round(p99, 1), unit: 'ms' },
  ];
}

export const propagation: Bench = {
  name: 'propagation',
  summary: 'a change in one of 3 clusters until every cluster serves it, by kind',
  run,
};
