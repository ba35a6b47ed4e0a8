import { X509Certificate } from 'node:crypto';
import { backend, endpoints, host } from '../../../agent/haproxy/testing/resources.fixture.ts';
import type { Resource } from '../../../lib/sync/index.ts';
import type { Bench, BenchOptions, BenchReport } from '../bench.ts';
import { firstSeen, type Look } from '../fleet/poller.ts';
import { percentile, round, spread } from '../numbers.ts';
import { ChangedPlane, share, SHOP, simpleHost, tls } from './changed-plane.ts';

interface Kind {
  readonly name: string;
  readonly change: (
    plane: ChangedPlane,
    number: number,
  ) => Promise<{ readonly delta: readonly Resource[]; readonly look?: Look }>;
}

const RENEWED = 'h0.bench.example';

const kinds: readonly Kind[] = [
  {
    name: 'host',
    change: async (plane, i) => {
      const name = `new${i}.bench.example`;
      return { delta: [simpleHost(name, 'd/s0/80')], look: async () => (await plane.status(name)) === 200 };
    },
  },
  {
    name: 'path',
    change: async (plane, i) => ({
      delta: [simpleHost('paths.bench.example', 'd/s0/80', `/p${i}`)],
      look: async () => (await plane.status('paths.bench.example', `/p${i}/x`)) === 200,
    }),
  },
  {
    name: 'weight',
    change: async (plane, i) => ({
      delta: [share(i % 2 === 0 ? 0 : 100_000)],
      look: async () => (await plane.body(SHOP)).includes(i % 2 === 0 ? 'us-' : 'eu-'),
    }),
  },
  {
    name: 'endpoint',
    change: async (plane, i) => {
      const wanted = (i + 1) % 2 === 0 ? 0 : 1;
      return {
        delta: [endpoints('d/s0', plane.pods[wanted].port, ['127.0.0.1'])],
        look: async () => (await plane.body('h0.bench.example')).includes(`eu-${wanted + 1}`),
      };
    },
  },
  {
    name: 'certificate added',
    change: async (plane, i) => await certificateChange(plane, `new${i}.bench.example`),
  },
  { name: 'certificate renewed', change: async (plane) => await certificateChange(plane, RENEWED) },
  {
    name: 'service born',
    change: async (plane, i) => {
      const name = `born${i}.bench.example`;
      const service = `d/born${i}`;
      const delta = [
        backend(`${service}/80`),
        endpoints(service, plane.pods[0].port, ['127.0.0.1']),
        simpleHost(name, `${service}/80`),
      ];
      return { delta, look: async () => (await plane.status(name)) === 200 };
    },
  },
  {
    // What a client cannot see counts as live when HAProxy has confirmed it.
    name: 'setting of a backend (limit of connections), confirmed',
    change: async (_, i) => {
      const settings = { limits: { connections: 100 + i, queue: 0 } };
      return { delta: [host('set.bench.example', [{ path: '/', at: { eu: 'd/s0/80' }, settings }])] };
    },
  },
];

async function certificateChange(plane: ChangedPlane, name: string): ReturnType<Kind['change']> {
  const leaf = await plane.leafFor(name);
  const wanted = new X509Certificate(leaf.certificate).fingerprint256;
  return { delta: [tls(name, leaf)], look: async () => (await plane.fingerprint(name)) === wanted };
}

/** @returns milliseconds from the call until an outside client sees it. */
async function once(plane: ChangedPlane, { name, change }: Kind, number: number): Promise<number> {
  const { delta, look } = await change(plane, number);
  const seen = look === undefined ? undefined : firstSeen(look, name);
  const began = performance.now();
  await plane.apply(...delta);
  const confirmed = performance.now();
  return ((await seen) ?? confirmed) - began;
}

async function run({ smoke, note }: BenchOptions): Promise<BenchReport> {
  const [sizes, count, reloads] = smoke ? [[10], 2, 1] : [[1_000, 10_000], 30, 5];
  const rows: (string | number)[][] = [];
  const faults: string[] = [];
  for (const hosts of sizes) {
    await using plane = await ChangedPlane.open(hosts);
    await plane.apply(
      tls(RENEWED, await plane.leafFor(RENEWED)),
      host('set.bench.example', [{ path: '/', at: { eu: 'd/s0/80' } }]),
    );
    const times: number[] = [];
    for (let i = 0; i < reloads; i++) {
      const began = performance.now();
      await plane.two.forceReload('eu');
      times.push(performance.now() - began);
    }
    const reference = percentile(times, 0.5);
    rows.push([hosts, 'reference: reload of the same configuration', reloads, ...spread(times), 1]);
    // The data plane looks at the new worker first.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const before = plane.reloads;
    for (const kind of kinds) {
      note(`${hosts} hosts: ${kind.name}`);
      const seen: number[] = [];
      for (let i = 0; i < count; i++) seen.push(await once(plane, kind, i));
      rows.push([hosts, kind.name, count, ...spread(seen), round(percentile(seen, 0.5) / reference, 3)]);
    }
    if (plane.reloads !== before) faults.push(`${plane.reloads - before} reloads at ${hosts} hosts`);
  }
  return {
    tables: [
      {
        title:
          'One change through the data plane alone, from the call until an outside client sees it (reload: until the new worker is there), ms',
        columns: ['hosts', 'change', 'samples', 'p50', 'p99', 'most', 'p50 ÷ reload'],
        rows,
      },
    ],
    figures: [],
    faults,
  };
}

export const changeLive: Bench = {
  name: 'data-plane:change',
  summary: 'one change until it is live, by kind, against a reload of the same configuration',
  run,
};
