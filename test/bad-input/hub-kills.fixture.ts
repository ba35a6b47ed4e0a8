import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { connectHub, pathOf, type HubClient } from '../../cli/client.ts';
import { Program } from '../../cli/demo/processes.ts';
import type { ApplyResponse, ListResponse, PolicyItem } from '../../hub/api/types.ts';
import { ANY } from './run.fixture.ts';

const WRITERS = 4;
/** Milliseconds after the first acknowledgement of a round within which the hub is killed. */
const WITHIN_MS = 80;

/** What a writer was told last. */
interface Told {
  readonly number: number;
  readonly revision: string;
}

export interface HubKills {
  readonly acknowledged: number;
  /** What was lost, for people. Empty when all is well. */
  readonly faults: readonly string[];
}

/** Kills a whole hub that writers apply policies at, `rounds` times, and compares what it holds with their logs. */
export async function hubKills(rounds: number): Promise<HubKills> {
  const data = mkdtempSync(join(tmpdir(), 'hg-'));
  const told = new Map<number, Told>();
  const faults: string[] = [];
  let acknowledged = 0;
  let hub = await startHub(data);
  try {
    for (let round = 0; round < rounds; round++) {
      acknowledged += await writeAndKill(hub, await connect(data), told);
      hub = await startHub(data);
      for (const fault of await compare(await connect(data), told)) faults.push(`round ${round}: ${fault}`);
    }
    return { acknowledged, faults };
  } finally {
    await hub.end();
    rmSync(data, { recursive: true, force: true });
  }
}

async function startHub(data: string): Promise<Program> {
  const log = join(data, 'log');
  return await Program.start(['hub', '--data', data, '--grpc', ANY, '--http', ANY, '--ops', ANY], log);
}

async function connect(data: string): Promise<HubClient> {
  return await connectHub({ config: join(data, 'admin.yaml') });
}

/** @returns the number of acknowledgements. */
async function writeAndKill({ child }: Program, client: HubClient, told: Map<number, Told>): Promise<number> {
  const exited = once(child, 'exit');
  let count = 0;
  const dead = new AbortController();
  const kill = (): void => {
    dead.abort();
    child.kill('SIGKILL');
  };
  const write = async (writer: number): Promise<void> => {
    while (!dead.signal.aborted) {
      const number = (told.get(writer)?.number ?? 0) + 1;
      try {
        const body = { manifests: manifest(writer, number) };
        const { results } = await client.call<ApplyResponse>('POST', pathOf('apply'), { body });
        const [result] = results;
        if (result?.error !== null || result.revision === null) throw new Error('the hub refused a write');
        told.set(writer, { number, revision: result.revision });
        count += 1;
        if (count === 1) setTimeout(kill, Math.random() * WITHIN_MS);
      } catch (error) {
        // Whether the last one was stored is not known: the hub died with the answer.
        if (!dead.signal.aborted) throw error;
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  } finally {
    kill();
    await exited;
  }
  return count;
}

function manifest(writer: number, number: number): string {
  return `apiVersion: headgate.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: writer-${writer}, namespace: writers }
spec: { targetRefs: [{ group: "", kind: Namespace, name: n-${number} }], exposure: Everywhere }
`;
}

/** @param told brought to what is stored, from which the next round goes on. */
async function compare(client: HubClient, told: Map<number, Told>): Promise<string[]> {
  const { items } = await client.call<ListResponse<PolicyItem>>('GET', pathOf('get', 'policies'));
  const faults: string[] = [];
  for (let writer = 0; writer < WRITERS; writer++) {
    const item = items.find(({ name }) => name === `writer-${writer}`);
    const spec = item?.spec as { targetRefs: { name: string }[] } | undefined;
    const stored = Number(spec?.targetRefs[0]?.name.slice(2) ?? 0);
    const last = told.get(writer) ?? { number: 0, revision: '0' };
    if (stored !== last.number && stored !== last.number + 1) {
      faults.push(`writer ${writer}: ${last.number} acknowledged, ${stored} stored`);
    }
    if (stored === last.number && stored > 0 && item?.revision !== last.revision) {
      faults.push(`writer ${writer}: revision ${last.revision} acknowledged, ${item?.revision} stored`);
    }
    if (item !== undefined) told.set(writer, { number: stored, revision: item.revision ?? '' });
  }
  return faults;
}
