import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, BenchOptions, BenchReport, Figure } from './bench.ts';
import { BenchFleet, lost } from './fleet/bench-fleet.ts';
import { metricOf } from './fleet/metrics.ts';
import { round } from './numbers.ts';

const CLUSTERS = ['eu', 'us', 'ap'];
const BYTES = 'headgate_configuration_bytes_total';
const CONNECTED = 'headgate_agent_connected';
const AGE = 'headgate_agent_config_age_seconds';
const DEADLINE = 60_000;
/** Milliseconds after which an agent counts a connection as good and its back-off starts over. */
const GOOD = 30_000;
/** Milliseconds in which bytes that were not needed would have been sent. */
const AFTERWARDS = 3_000;

/** Resolves when every cluster is connected and holds what the hub has. */
async function settled(ops: string): Promise<void> {
  const deadline = performance.now() + DEADLINE;
  for (;;) {
    const connected = await metricOf(ops, CONNECTED, 'cluster').catch(() => new Map<string, number>());
    if (CLUSTERS.every((name) => connected.get(name) === 1)) {
      const ages = await metricOf(ops, AGE, 'cluster');
      if (CLUSTERS.every((name) => ages.get(name) === 0)) return;
    }
    if (performance.now() > deadline) throw new Error(`not every cluster was back within ${DEADLINE} ms`);
    await sleep(10);
  }
}

async function sum(ops: string): Promise<number> {
  return [...(await metricOf(ops, BYTES, 'cluster')).values()].reduce((total, bytes) => total + bytes, 0);
}

async function run({ smoke, note }: BenchOptions): Promise<BenchReport> {
  const [sizes, restarts] = smoke ? [[10], 1] : [[10, 1_000], 3];
  const rows: (string | number)[][] = [];
  const faults: string[] = [];
  const figures: Figure[] = [];
  for (const routes of sizes) {
    await using fleet = await BenchFleet.start(CLUSTERS, routes);
    const { processes } = fleet;
    const ops = String(processes.hub.ready['ops']);
    const first = await sum(ops);
    await using load = await fleet.load();
    const reloads = await fleet.reloads();
    let [bytes, slowest] = [0, 0];
    for (let i = 0; i < restarts; i++) {
      note(`${routes} routes: restart ${i + 1} of ${restarts}`);
      // A hub that fails again and again is waited for longer, on purpose; that is not measured here.
      if (!smoke) await sleep(GOOD);
      // As a crash would: nobody is told.
      await processes.hub.end('SIGKILL');
      await processes.restartHub();
      const started = performance.now();
      await settled(ops);
      slowest = Math.max(slowest, performance.now() - started);
      await sleep(AFTERWARDS);
      bytes = Math.max(bytes, await sum(ops));
    }
    const result = await load.stop();
    const after = await fleet.reloads();
    const reloaded = [...after].reduce((total, [name, count]) => total + count - (reloads.get(name) ?? 0), 0);
    rows.push([routes, first, bytes, restarts, round(slowest / 1_000, 2), result.requests, result.failed, reloaded]);
    faults.push(...lost(result));
    if (reloaded > 0) faults.push(`${reloaded} reloads at ${routes} routes`);
    if (bytes > 0) faults.push(`${bytes} bytes of configuration sent at ${routes} routes, nothing had changed`);
    figures.push(
      { what: `bytes sent after a restart, ${routes} routes`, limit: 0, seen: bytes, unit: 'bytes' },
      { what: `all back after a restart, ${routes} routes`, limit: 5, seen: round(slowest / 1_000, 2), unit: 's' },
    );
  }
  return {
    tables: [
      {
        title: `${CLUSTERS.length} clusters reconnect to a hub that was killed and started again, nothing changed; the time counts from the hub's ready line`,
        columns: [
          'routes',
          'bytes at first connect',
          'bytes at reconnect',
          'restarts',
          'slowest s',
          'requests',
          'failed',
          'reloads',
        ],
        rows,
      },
    ],
    figures: smoke ? [] : figures,
    faults,
  };
}

export const reconnect: Bench = {
  name: 'reconnect',
  summary: 'configuration bytes and time until every cluster is back after the hub was killed',
  run,
};
