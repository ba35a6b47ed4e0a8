import { setTimeout as sleep } from 'node:timers/promises';
import { reloadsOf } from '../../../cli/demo/measures.ts';
import { baseHost, KubeFleet } from '../../kube/fleet/kube-fleet.ts';
import { type Live, untilLive } from '../../kube/fleet/until-live.ts';
import { WatchFloor } from '../../kube/fleet/watch-floor.ts';
import type { Bench, BenchOptions, BenchReport, Figure } from '../bench.ts';
import { lost } from '../fleet/bench-fleet.ts';
import { SteadyLoad } from '../fleet/steady-load.ts';
import { cpuSeconds } from '../machine.ts';
import { percentile, round, spread } from '../numbers.ts';
import { HOME, type KubeKind, prepareKinds, writtenKinds } from './kube-changes.ts';

const CLUSTERS = ['eu', 'us', 'ap'];
/** Milliseconds in which pools that are filled at the start may still want a reload. */
const SETTLED = 5_000;
/** Milliseconds in which nothing changes. */
const IDLE = 3_000;
/** Hosts that a load is spread over, and requests a second. */
const LOADED = 10;
const RATE = 100;

interface Cpu {
  readonly hub: number;
  readonly agents: number;
  readonly apiServers: number;
}

async function run({ smoke, large, note }: BenchOptions): Promise<BenchReport> {
  const [routes, count] = smoke ? [10, 2] : [large ? 1_000 : 200, 50];
  const started = performance.now();
  await using fleet = await KubeFleet.start({ clusters: CLUSTERS, routes, customResources: true });
  note(`3 API servers × ${routes} routes serve after ${round((performance.now() - started) / 1_000, 1)} s`);
  const kinds = await prepareKinds(fleet);
  await using floor = await WatchFloor.start(fleet.cluster(HOME).api, writtenKinds);
  await sleep(smoke ? 0 : SETTLED);
  // r0 changes its weight.
  const hosts = Array.from({ length: Math.min(LOADED, routes - 1) }, (_, i) => baseHost(i + 1));
  const entries = Object.fromEntries(fleet.processes.entries());
  await using load = await SteadyLoad.start({ entries, hosts, rate: RATE });
  const reloadsBefore = await reloads(fleet);
  const idleFrom = await cpu(fleet);
  await sleep(IDLE);
  const before = await cpu(fleet);
  const samples = await sample(kinds, floor, count);
  const after = await cpu(fleet);
  const result = await load.stop();
  const reloaded = (await reloads(fleet)) - reloadsBefore;

  const rows: (string | number)[][] = [];
  const figures: Figure[] = [];
  for (const { name, own } of kinds) {
    const seen = samples.get(name) ?? [];
    const floors = seen.map(({ floor }) => floor);
    const add = (row: string, times: readonly number[], limits: readonly [number, number]): void => {
      rows.push([row, times.length, ...spread(times), ...spread(floors).slice(0, 2)]);
      const [half, most] = limits;
      figures.push({ what: `${row}, p50`, limit: half, seen: round(percentile(times, 0.5), 1), unit: 'ms' });
      figures.push({ what: `${row}, p99`, limit: most, seen: round(percentile(times, 0.99), 1), unit: 'ms' });
    };
    const atHome = seen.map(({ entries }) => entries.get(HOME) ?? Number.NaN);
    if (own) add(`${name}, own cluster`, atHome, name === 'endpoint' ? [8, 100] : [50, 250]);
    const isSeenAbroad = seen.some(({ entries }) => entries.size > 1);
    if (!own || isSeenAbroad)
      add(
        `${name}, all clusters`,
        seen.map(({ all }) => all),
        [50, 250],
      );
  }
  const made = kinds.length * count;
  const idle = (name: keyof Cpu): number => round((1_000 * (before[name] - idleFrom[name])) / (IDLE / 1_000), 1);
  const each = (name: keyof Cpu): number => round((1_000 * (after[name] - before[name])) / made, 1);
  return {
    tables: [
      {
        title: `3 API servers × ${routes} routes: from the API server's reply until entries show the change, ms`,
        columns: ['change', 'samples', 'p50', 'p99', 'most', 'watch p50', 'watch p99'],
        rows,
      },
      {
        title: 'Meanwhile, a steady load through all entries, reloads, and CPU: idle in ms/s, and ms per change',
        columns: ['requests', 'failed', 'reloads', 'hub idle', 'agents', 'hub', 'agents', 'API servers'],
        rows: [
          [
            result.requests,
            result.failed,
            reloaded,
            idle('hub'),
            idle('agents'),
            each('hub'),
            each('agents'),
            each('apiServers'),
          ],
        ],
      },
    ],
    figures: smoke ? [] : figures,
    faults: [...(reloaded > 0 ? [`${reloaded} reloads`] : []), ...lost(result)],
  };
}

async function sample(
  kinds: readonly KubeKind[],
  floor: WatchFloor,
  count: number,
): Promise<ReadonlyMap<string, readonly Live[]>> {
  const samples = new Map<string, Live[]>(kinds.map(({ name }) => [name, []]));
  for (let i = 0; i < count; i++) {
    for (const kind of kinds) {
      samples.get(kind.name)?.push(await untilLive(floor, kind.change(i)));
      // Not in step with any timer of the fleet.
      await sleep(50 + ((i * 37) % 100));
      await kind.tidy?.(i);
    }
  }
  return samples;
}

async function reloads(fleet: KubeFleet): Promise<number> {
  const counts = CLUSTERS.map(async (name) => await reloadsOf(fleet.processes.cluster(name).data));
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

async function cpuOf(pids: readonly number[]): Promise<number> {
  return (await Promise.all(pids.map(cpuSeconds))).reduce((sum, one) => sum + one, 0);
}

/** Seconds so far. */
async function cpu(fleet: KubeFleet): Promise<Cpu> {
  return {
    hub: await cpuOf([fleet.processes.hub.pid]),
    agents: await cpuOf([...fleet.processes.clusters.values()].map(({ agent }) => agent.pid)),
    apiServers: await cpuOf(fleet.ground.clusters.map(({ pid }) => pid)),
  };
}

export const kubePropagation: Bench = {
  name: 'kubernetes:propagation',
  summary: 'a write to one of 3 API servers until every entry of the fleet shows it, by kind',
  podNetwork: true,
  run,
};
