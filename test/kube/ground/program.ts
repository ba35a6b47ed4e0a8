import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds; three API servers at once take 7 s on two idle cores. */
const READY_WITHIN = 120_000;

/** A child process of the ground: its words in a file, ended by its own pid only. */
export class Program {
  readonly #child: ChildProcess;
  readonly #log: string;

  private constructor(child: ChildProcess, log: string) {
    this.#child = child;
    this.#log = log;
  }

  static start(file: string, args: readonly string[], log: string): Program {
    const output = openSync(log, 'a');
    const child = spawn(file, args, { stdio: ['ignore', output, output] });
    closeSync(output);
    return new Program(child, log);
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${basename(this.#child.spawnfile)} did not start`);
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Waits until `probe` holds; rejects with the program's last words when it ends before or takes too long. */
  async ready(probe: () => Promise<boolean>): Promise<void> {
    const until = performance.now() + READY_WITHIN;
    while (!(await probe())) {
      const late = performance.now() > until;
      if (late || !this.running) {
        const words = readFileSync(this.#log, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
        throw new Error(`${basename(this.#child.spawnfile)} ${late ? 'is not ready' : 'has ended'}:\n${words}`);
      }
      await sleep(50);
    }
  }

  /** Stops it where it is: connections stay open and nothing answers. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Ends it at once; nothing here has anything to save. Paused ones end too. */
  async kill(): Promise<void> {
    if (!this.running) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}

/** A port of 127.0.0.1 that nothing listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a listener has no port');
  server.close();
  await once(server, 'close');
  return address.port;
}
