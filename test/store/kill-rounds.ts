import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openEmbeddedStore } from '../../hub/store/embedded.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { KEPT, WRITERS } from './writer.ts';

/** By writer. */
type Told = Map<number, { readonly number: number; readonly revision: bigint }>;

export interface KillOutcome {
  readonly acknowledged: number;
  /** What was lost or half there, for people. Empty when all is well. */
  readonly faults: readonly string[];
}

/** Kills a process that writes to one and the same store, `rounds` times, and compares with what it was told. */
export async function killRounds(rounds: number): Promise<KillOutcome> {
  const folder = await mkdtemp(join(tmpdir(), 'headgate-kill-'));
  try {
    const faults: string[] = [];
    const last: Told = new Map();
    let acknowledged = 0;
    for (let round = 0; round < rounds; round++) {
      const lines = await writeAndKill(folder);
      for (const line of lines) {
        const [writer = '', number = '', revision = ''] = line.split(' ');
        last.set(Number(writer), { number: Number(number), revision: BigInt(revision) });
      }
      acknowledged += lines.length;
      for (const fault of await compare(folder, last)) faults.push(`round ${round}: ${fault}`);
    }
    return { acknowledged, faults };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @returns the acknowledgements, whole lines, that had left the process when it died. */
async function writeAndKill(folder: string): Promise<string[]> {
  const script = fileURLToPath(new URL('writer.ts', import.meta.url));
  const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  let timer: NodeJS.Timeout | undefined;
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
    // From the first acknowledgement on, at any moment of what follows.
    timer ??= setTimeout(() => child.kill('SIGKILL'), Math.random() * 25);
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  if (signal !== 'SIGKILL') throw new Error(`the writer ended by itself with ${code}`);
  return output.slice(0, output.lastIndexOf('\n')).split('\n');
}

/** @param last what each writer was told last; brought to what is stored, from which the next round goes on. */
async function compare(folder: string, last: Told): Promise<string[]> {
  await using store = await openEmbeddedStore({ folder, clock: systemClock, log: silentLog });
  const faults: string[] = [];
  const entries = new Map((await store.range('')).entries.map((entry) => [entry.key, entry]));
  for (let writer = 0; writer < WRITERS; writer++) {
    const a = entries.get(`a/${writer}`);
    const b = entries.get(`b/${writer}`);
    const told = last.get(writer) ?? { number: 0, revision: 0n };
    const stored = Number(Buffer.from(a?.value ?? '0').toString());
    if (stored < told.number) faults.push(`writer ${writer}: ${told.number} acknowledged, ${stored} stored`);
    if (stored > told.number + 1) faults.push(`writer ${writer}: ${stored} stored, only ${told.number} acknowledged`);
    if (stored === told.number && (a?.modRevision ?? 0n) !== told.revision)
      faults.push(`writer ${writer}: revision ${told.revision} acknowledged, ${a?.modRevision} stored`);
    if (
      a?.modRevision !== b?.modRevision ||
      Buffer.compare(a?.value ?? Buffer.alloc(0), b?.value ?? Buffer.alloc(0)) !== 0
    )
      faults.push(`writer ${writer}: half a transaction at ${a?.modRevision} and ${b?.modRevision}`);
    last.set(writer, { number: stored, revision: a?.modRevision ?? 0n });
    const logged = [...entries.keys()].filter((key) => key.startsWith(`log/${writer}/`));
    const expected = Array.from({ length: Math.min(stored, KEPT) }, (_, back) => `log/${writer}/${stored - back}`);
    if (logged.length !== expected.length || !expected.every((key) => entries.has(key)))
      faults.push(`writer ${writer}: its log is not ${expected.at(-1)} to ${expected[0]}`);
  }
  return faults;
}
