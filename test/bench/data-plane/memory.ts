import { testCa } from '../../../agent/haproxy/testing/certificates.fixture.ts';
import { backend, endpoints, host } from '../../../agent/haproxy/testing/resources.fixture.ts';
import { Rig } from '../../../agent/haproxy/testing/rig.fixture.ts';
import type { Resource } from '../../../lib/sync/index.ts';
import type { Bench, BenchOptions, BenchReport } from '../bench.ts';
import { type Resident, resident } from '../machine.ts';
import { round } from '../numbers.ts';
import { PlainHaproxy } from '../plain-haproxy.ts';

/** Server lines that both of the existing controllers keep per service. */
const SLOTS = 42;
/** Asked of 1,000 services with 3 endpoints each, MB. */
const LIMIT = 45;

/** Services with a host each. */
function resources(services: number, addresses: number): Resource[] {
  return Array.from({ length: services }, (_, i) => {
    const name = `bench/s${i}`;
    const at = Array.from({ length: addresses }, (__, j) => `127.${Math.floor(i / 250)}.${i % 250}.${j + 1}`);
    return [
      backend(`${name}/80`),
      endpoints(name, 8_080, at),
      host(`h${i}.bench.example`, [{ path: '/', at: { eu: `${name}/80` } }]),
    ];
  }).flat();
}

async function ours(services: number, addresses: number): Promise<Resident> {
  await using rig = await Rig.start('eu', await testCa(), { upserts: resources(services, addresses), removals: [] });
  return await resident(Number(/^Pid: (\d+)/m.exec(await rig.cli('show info'))?.[1]));
}

async function slots(services: number, addresses: number): Promise<Resident> {
  await using haproxy = await PlainHaproxy.slots(services, addresses, SLOTS);
  return await resident(haproxy.pid);
}

async function run({ smoke, note }: BenchOptions): Promise<BenchReport> {
  const services = smoke ? 50 : 1_000;
  const rows: (string | number)[][] = [];
  let seen = Number.NaN;
  for (const [what, measure] of [
    ['ours', ours],
    [`${SLOTS} slots per service`, slots],
  ] as const) {
    const empty = await measure(0, 0);
    for (const addresses of [1, 3]) {
      note(`${what}, ${services} services with ${addresses} endpoints`);
      const full = await measure(services, addresses);
      const each = (key: keyof Resident): number => round(((full[key] - empty[key]) * 1_000 * 1.048576) / services, 1);
      rows.push([what, addresses, round(empty.rss, 1), round(full.rss, 1), each('rss'), each('pss')]);
      if (what === 'ours' && addresses === 3) seen = each('rss');
    }
  }
  return {
    tables: [
      {
        title: `HAProxy's memory with ${services} services, one thread; hosts, maps and 64 spares included in ours`,
        columns: ['configuration', 'endpoints', 'empty, MiB', 'full, MiB', 'RSS per 1,000, MB', 'PSS per 1,000, MB'],
        rows,
      },
    ],
    figures: smoke
      ? []
      : [{ what: 'HAProxy memory per 1,000 services of 3 endpoints', limit: LIMIT, seen, unit: 'MB' }],
    faults: [],
  };
}

export const memory: Bench = {
  name: 'data-plane:memory',
  summary: `HAProxy's memory per 1,000 services, beside ${SLOTS} slots per service`,
  run,
};
