import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { testBackend } from '../../../agent/haproxy/testing/rig.fixture.ts';
import { ColdNode, siteResources } from '../../data-plane/cold-node.ts';
import type { Bench, BenchOptions, BenchReport, Figure } from '../bench.ts';
import { residentMib } from '../machine.ts';
import { median, round } from '../numbers.ts';

async function run({ smoke, large, note }: BenchOptions): Promise<BenchReport> {
  const [sizes, rounds] = smoke ? [[1, 20], 1] : [[1, 1_000, ...(large ? [10_000] : [])], 3];
  const rows: (string | number)[][] = [];
  const figures: Figure[] = [];
  await using upstream = await testBackend('one');
  for (const sites of sizes) {
    await using node = await ColdNode.make();
    rmSync(node.ledger, { recursive: true });
    await node.keep(await siteResources(sites, upstream.port));
    const ready: number[] = [];
    const answered: number[] = [];
    let memory = 0;
    for (let i = 0; i < rounds; i++) {
      note(`${sites} hosts, start ${i + 1} of ${rounds}`);
      // As after a reboot: the ledger, and nothing of HAProxy's.
      rmSync(join(node.data, 'haproxy'), { recursive: true, force: true });
      const began = performance.now();
      ready.push(await node.start());
      for (const site of [0, sites - 1]) {
        const status = await node.status(`site${site}.example`);
        if (status !== 200) throw new Error(`site${site}.example answers ${status} after the start`);
      }
      answered.push(performance.now() - began);
      memory = await residentMib(node.agent?.pid ?? 0);
      await node.stop();
    }
    rows.push([sites, seconds(ready), seconds(answered), round(Math.max(...answered) / 1_000, 2), Math.round(memory)]);
    if (sites === 1_000) {
      const seen = round(Math.max(...answered) / 1_000, 2);
      figures.push({ what: 'cold start from disk, 1,000 routes and certificates, slowest', limit: 2, seen, unit: 's' });
    }
  }
  return {
    tables: [
      {
        title: `Start of a node agent and its HAProxy from the ledger, nobody to talk to, until ready and until the first and the last host have answered, median of ${rounds}, s`,
        columns: ['hosts and certificates', 'ready', 'answered', 'slowest', 'agent, RSS MiB'],
        rows,
      },
    ],
    figures,
    faults: [],
  };
}

function seconds(ms: readonly number[]): number {
  return round(median(ms) / 1_000, 2);
}

export const coldStart: Bench = {
  name: 'data-plane:cold-start',
  summary: 'a node starts from its disk alone until it serves',
  run,
};
