import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { HeadgateError } from '../../lib/errors.ts';

/** Two folders up from a source, one from what is built of it. */
const ROOT = join(import.meta.dirname, import.meta.filename.endsWith('.ts') ? '../..' : '..');
export const HEADGATE = join(ROOT, 'bin', 'headgate');
const READY_MS = 20_000;

export type Ready = Readonly<Record<string, unknown>>;

/** A `headgate` process of the demo: its ready line read, its log in a file. */
export class Program {
  readonly child: ChildProcess;
  readonly ready: Ready;

  private constructor(child: ChildProcess, ready: Ready) {
    this.child = child;
    this.ready = ready;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resolves when the ready line is there; rejects with the program's own words when it ends before. */
  static async start(args: readonly string[], logFile: string, command = HEADGATE): Promise<Program> {
    const log = openSync(logFile, 'a');
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', log] });
    closeSync(log);
    const { stdout } = child;
    if (stdout === null) throw new HeadgateError('HG9001', 'a piped child has no standard output');
    const ready = await new Promise<Ready>((resolve, reject) => {
      const failed = (why: string): void =>
        reject(new HeadgateError('HG9001', `headgate ${args[0] ?? ''} ${why}`, { remedy: `see ${logFile}` }));
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        failed(`was not ready within ${READY_MS / 1_000} s`);
      }, READY_MS);
      child.once('error', (error) => failed(error.message));
      child.once('exit', (code, signal) => failed(`ended with ${String(code ?? signal)} before it was ready`));
      createInterface({ input: stdout }).once('line', (line) => {
        clearTimeout(timer);
        resolve(JSON.parse(line) as Ready);
      });
    });
    return new Program(child, ready);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.child.kill(signal);
  }

  /** Signals and waits for the end. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.running) return;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await exited;
  }
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one `headgate` command to its end. */
export async function headgate(args: readonly string[], input?: string): Promise<Finished> {
  return await new Promise((resolve) => {
    const child = execFile(HEADGATE, args, { timeout: 30_000, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
    child.stdin?.end(input ?? '');
  });
}

/** Polls `check` every `everyMs` until it holds; returns the milliseconds it took, or undefined after `withinMs`. */
export async function until(check: () => Promise<boolean>, withinMs: number, everyMs = 2): Promise<number | undefined> {
  const started = performance.now();
  for (;;) {
    if (await check()) return performance.now() - started;
    if (performance.now() - started > withinMs) return undefined;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
