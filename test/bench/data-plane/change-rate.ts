import { endpoints } from '../../../agent/haproxy/testing/resources.fixture.ts';
import type { Resource } from '../../../lib/sync/index.ts';
import type { Bench, BenchOptions, BenchReport } from '../bench.ts';
import { cpuSeconds } from '../machine.ts';
import { round } from '../numbers.ts';
import { ChangedPlane, simpleHost } from './changed-plane.ts';

async function run({ smoke, note }: BenchOptions): Promise<BenchReport> {
  const [hosts, singles, batches] = smoke ? [20, 10, 1] : [1_000, 500, 20];
  const services = Math.ceil(hosts / 10);
  await using plane = await ChangedPlane.open(hosts);
  const began = performance.now();
  await plane.two.forceReload('eu');
  const reload = performance.now() - began;
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const before = plane.reloads;
  const haproxy = await plane.two.worker('eu');

  const endpoint = (i: number): Resource =>
    endpoints(`d/s${i % services}`, plane.pods[Math.floor(i / services) % 2 === 0 ? 1 : 0].port, ['127.0.0.1']);
  const rows: (string | number)[][] = [['reference: a reload for each', 1, 1, round(1_000 / reload, 1), '', '']];
  for (const [what, make] of [
    ['routes', route],
    ['endpoints', endpoint],
  ] as const) {
    let next = 0;
    for (const [size, deltas] of [
      [1, singles],
      [100, batches],
    ] as const) {
      note(`${what}, deltas of ${size}`);
      const [own, others] = [process.cpuUsage(), await cpuSeconds(haproxy)];
      const from = performance.now();
      let changes = 0;
      for (let i = 0; i < deltas; i++) {
        const delta = latest(Array.from({ length: size }, () => make(next++)));
        await plane.apply(...delta);
        changes += delta.length;
      }
      const seconds = (performance.now() - from) / 1_000;
      const { user, system } = process.cpuUsage(own);
      const spent = (await cpuSeconds(haproxy)) - others;
      rows.push([
        what,
        size,
        changes,
        round(changes / seconds, 0),
        round((user + system) / changes, 0),
        round((1e6 * spent) / changes, 0),
      ]);
    }
  }
  const last = hosts === 0 ? 0 : await plane.status(`rate${99 % (singles + 100 * batches)}.bench.example`, '/');
  return {
    tables: [
      {
        title: `Changes one after another at ${hosts} hosts, each delta confirmed by HAProxy before the next`,
        columns: ['what', 'in a delta', 'changes', 'changes/s', 'own CPU, µs each', 'HAProxy CPU, µs each'],
        rows,
      },
    ],
    figures: [],
    faults: [
      ...(plane.reloads === before ? [] : [`${plane.reloads - before} reloads`]),
      ...(last === 200 ? [] : [`the last route answers ${last}`]),
    ],
  };
}

/** Another path than the one before, so that each changes what HAProxy holds. */
function route(i: number): Resource {
  return simpleHost(`rate${i % 100}.bench.example`, 'd/s0/80', `/v${i}`);
}

/** A delta names a resource once. */
function latest(resources: readonly Resource[]): Resource[] {
  return [...new Map(resources.map((one) => [`${one.type}/${one.name}`, one])).values()];
}

export const changeRate: Bench = {
  name: 'data-plane:rate',
  summary: 'changes a second, sustained, in deltas of 1 and of 100',
  run,
};
