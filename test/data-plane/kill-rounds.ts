import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stopHaproxy } from '../../agent/haproxy/process/stop.ts';
import { testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';
import { systemClock } from '../../lib/clock.ts';

export interface KillOutcome {
  /** Committed over all rounds. */
  readonly changes: number;
  /** Slowest start until HAProxy, files and ledger agreed. */
  readonly slowestMs: number;
  readonly faults: readonly string[];
}

/** Kills the agent's core at random points of its changes until there were `changes`, and looks at each next start. */
export async function killRounds(changes: number): Promise<KillOutcome> {
  const folder = mkdtempSync(join(tmpdir(), 'hg-'));
  try {
    const ca = await testCa();
    const gateway = await ca.leaf('eu.gateway.headgate');
    const leaves = await Promise.all(Array.from({ length: 7 }, (_, i) => ca.leaf(`leaf-${i}`)));
    const setup = {
      gateway: { certificate: gateway.certificate, privateKey: gateway.key, ca: ca.certificate },
      leaves,
    };
    writeFileSync(join(folder, 'setup.json'), JSON.stringify(setup), { mode: 0o600 });
    const faults: string[] = [];
    let told = 0;
    let slowestMs = 0;
    for (let round = 0; told < changes; round++) {
      const { last, words } = await changeAndKill(folder, told);
      if (words.startsWith('agrees ')) slowestMs = Math.max(slowestMs, Number(words.slice(7)));
      else faults.push(`round ${round}, after ${told} changes: ${words}`);
      told = Math.max(told, last);
    }
    return { changes: told, slowestMs, faults };
  } finally {
    await stopHaproxy(join(folder, 'haproxy'), 0, systemClock);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @returns what it said when it had started, and the last change that it said it had committed. */
async function changeAndKill(folder: string, told: number): Promise<{ words: string; last: number }> {
  const script = fileURLToPath(new URL('changer.ts', import.meta.url));
  const child = spawn(process.execPath, [script, folder, String(told), haproxyBinary], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    // Some changes, and then at any moment of one.
    if (lines.length === 2) timer = setTimeout(() => child.kill('SIGKILL'), Math.random() * 400);
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  if (signal !== 'SIGKILL') throw new Error(`the agent's core ended by itself with ${code}`);
  return { words: lines[0] ?? '', last: Number(lines.at(-1)) };
}
