import { performance } from 'node:perf_hooks';
import type { Bench, BenchOptions, BenchReport, Figure } from './bench.ts';
import { LargeFleet } from './large-fleet.ts';
import { median, percentile, round } from './numbers.ts';

/** µs. */
interface Cost {
  /** A commit that changes nothing for the fleet: what the store and its watch cost by themselves. */
  readonly commit: number;
  /** CPU of everything that the hub's process does for one change, V8's own threads included. */
  readonly change: number;
  /** Compiling alone: what one call of Compiler.apply takes. */
  readonly compile: readonly number[];
  /** CPU per subscriber of a change that every cluster gets, its receiver included. */
  readonly subscriber: number;
}

async function measure(fleet: LargeFleet, changes: number): Promise<Cost> {
  // As many again, unmeasured: V8 compiles what is hot.
  await fleet.changeRoutes(changes);
  await fleet.commitElsewhere(changes);
  await fleet.changePeers(Math.ceil(changes / 20));

  const commit = await cpu(async () => await fleet.commitElsewhere(changes));
  fleet.compileTimes.length = 0;
  const change = await cpu(async () => await fleet.changeRoutes(changes));
  const compile = fleet.compileTimes.map((ms) => 1_000 * ms);
  const rounds = Math.ceil(changes / 10);
  const peers = await cpu(async () => await fleet.changePeers(rounds));
  return {
    commit: commit / changes,
    change: change / changes,
    compile,
    subscriber: (peers / rounds - commit / changes) / fleet.clusters,
  };
}

/** @returns µs of this process's CPU, all its threads. */
async function cpu(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

async function run({ smoke, large, note }: BenchOptions): Promise<BenchReport> {
  const sizes = smoke ? [20, 200] : large ? [1_000, 10_000, 25_000] : [1_000, 10_000];
  const changes = smoke ? 20 : 400;
  const rows: (string | number)[][] = [];
  const costs = new Map<number, Cost>();
  for (const hosts of sizes) {
    const started = performance.now();
    await using fleet = await LargeFleet.open(hosts);
    note(
      `${hosts} hosts in ${fleet.clusters} clusters, loaded in ${round((performance.now() - started) / 1_000, 1)} s`,
    );
    const cost = await measure(fleet, changes);
    costs.set(hosts, cost);
    rows.push([
      hosts,
      fleet.ingresses,
      fleet.clusters,
      round(fleet.loadMs, 0),
      round(cost.commit, 0),
      round(cost.change, 0),
      round(cost.change - cost.commit, 0),
      round(median(cost.compile), 0),
      round(percentile(cost.compile, 0.99), 0),
      round(cost.subscriber, 0),
    ]);
  }
  return {
    tables: [
      {
        title: `Hub CPU per change, µs: a Service's ready count, an Ingress's path or a route's weights, felt by 3 clusters; ${changes} changes one after another, over the embedded store`,
        columns: [
          'hosts',
          'Ingresses',
          'clusters',
          'first compile ms',
          'commit alone',
          'change, all CPU',
          'less the commit',
          'compile p50',
          'compile p99',
          'per subscriber',
        ],
        rows,
      },
    ],
    figures: smoke ? [] : figures(costs),
    faults: [],
  };
}

function figures(costs: ReadonlyMap<number, Cost>): Figure[] {
  const largest = Math.max(...costs.keys());
  const [big, small] = [costs.get(10_000), costs.get(1_000)];
  const most = costs.get(largest);
  if (big === undefined || small === undefined || most === undefined) return [];
  const growth = {
    compile: median(big.compile) / median(small.compile),
    all: (big.change - big.commit) / (small.change - small.commit),
  };
  const of = `in a fleet of ${largest} hosts`;
  return [
    {
      what: `CPU to compile one change ${of} (p50)`,
      limit: 1,
      seen: round(median(most.compile) / 1_000, 3),
      unit: 'ms',
    },
    {
      what: `CPU of one change ${of}, beyond its commit`,
      limit: 1,
      seen: round((most.change - most.commit) / 1_000, 3),
      unit: 'ms',
    },
    // A quarter of room: the same but for the noise of a shared machine.
    { what: 'compile p50 at 10,000 hosts ÷ at 1,000', limit: 1.25, seen: round(growth.compile, 2), unit: '' },
    { what: 'all CPU beyond the commit, likewise', limit: 1.25, seen: round(growth.all, 2), unit: '' },
    {
      what: `CPU per subscriber ${of}, its receiver included`,
      limit: 100,
      seen: round(most.subscriber, 0),
      unit: 'µs',
    },
  ];
}

export const hubCpu: Bench = {
  name: 'hub-cpu',
  summary: "the hub's CPU per change and per subscriber, beside a fleet a tenth as large",
  run,
};
