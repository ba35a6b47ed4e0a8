import { metricOf } from './fleet/metrics.ts';
import { application, BenchFleet, lost, OPEN } from './fleet/bench-fleet.ts';
import { firstSeen } from './fleet/poller.ts';
import type { Bench, BenchOptions, BenchReport } from './bench.ts';
import { spread } from './numbers.ts';

const CLUSTER = 'eu';
/** Spare backends that an agent starts with. */
const POOL = 128;
const RELOADS = 'headgate_haproxy_reloads_total';

/** Writes new services with their hosts. @returns milliseconds until each one's first answer. */
async function bear(fleet: BenchFleet, first: number, together: number): Promise<number[]> {
  const folder = fleet.processes.folder(CLUSTER);
  const names = Array.from({ length: together }, (_, i) => `born-${first + i}`);
  const pods = fleet.pods(CLUSTER, 1);
  const texts = names.map((name) => application(OPEN, name, hostOf(name), pods));
  const born = names.map(async (name, i) => {
    const look = async (): Promise<boolean> => (await fleet.connection(CLUSTER).get(hostOf(name), '/')).status === 200;
    folder.write(`${name}.yaml`, texts[i] ?? '');
    const written = performance.now();
    return (await firstSeen(look, `service ${name}`)) - written;
  });
  return await Promise.all(born);
}

async function run({ smoke, note }: BenchOptions): Promise<BenchReport> {
  // The smallest size that runs the pool low.
  const [births, together] = smoke ? [POOL, 32] : [3 * POOL, 1];
  await using fleet = await BenchFleet.start([CLUSTER], 10);
  const { ops } = fleet.processes.cluster(CLUSTER);
  await using load = await fleet.load();
  const before = { own: await fleet.reloads(), byReason: await metricOf(ops, RELOADS, 'reason') };
  const times: number[] = [];
  for (let born = 0; born < births; born += together) {
    times.push(...(await bear(fleet, born, together)));
    if ((born + together) % POOL === 0) note(`${born + together} of ${births} services born`);
  }
  const silent: string[] = [];
  for (let i = 0; i < births; i++) {
    const { status } = await fleet.connection(CLUSTER).get(hostOf(`born-${i}`), '/');
    if (status !== 200) silent.push(`born-${i} answers ${status} after all were born`);
  }
  const result = await load.stop();
  const byReason = [...(await metricOf(ops, RELOADS, 'reason'))]
    .map(([reason, count]) => [reason, count - (before.byReason.get(reason) ?? 0)] as const)
    .filter(([, count]) => count > 0);
  const own = ((await fleet.reloads()).get(CLUSTER) ?? 0) - (before.own.get(CLUSTER) ?? 0);
  const other = byReason.filter(([reason]) => reason !== 'pool-refill');
  const told = byReason.reduce((sum, [, count]) => sum + count, 0);
  return {
    tables: [
      {
        title: `Services born in a pool of ${POOL}, ${together === 1 ? 'one after another' : `${together} at a time`}, until the own entry serves each, ms`,
        columns: ['births', 'p50', 'p99', 'most', 'requests', 'failed', 'reloads', 'by reason'],
        rows: [
          [
            births,
            ...spread(times),
            result.requests,
            result.failed,
            own,
            byReason.map(([reason, count]) => `${reason} ${count}`).join(', ') || 'none',
          ],
        ],
      },
    ],
    figures: smoke
      ? []
      : [{ what: 'requests failed while services are born', limit: 0, seen: result.failed, unit: '' }],
    faults: [
      ...lost(result),
      ...silent.slice(0, 5),
      ...other.map(([reason, count]) => `${count} reloads for ${reason}`),
      ...(own > told ? [`HAProxy counts ${own} reloads, its agent ${told}`] : []),
    ],
  };
}

function hostOf(name: string): string {
  return `${name}.open.example`;
}

export const births: Bench = {
  name: 'births',
  summary: `services born in three times the pool's size: failures, reloads, time per birth`,
  run,
};
