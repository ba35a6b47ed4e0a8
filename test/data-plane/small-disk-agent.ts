import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isAlive } from '../../agent/haproxy/process/stop.ts';
import { haproxyPids } from '../../cli/demo/process-fleet.ts';
import { HEADGATE } from '../../cli/demo/processes.ts';

/** Mounts a tmpfs over the folder and becomes the program: the mount is seen by it alone and goes with it. */
const MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"';

/** An agent whose data folder is a small file system of its own, in a private mount namespace. */
export class SmallDiskAgent implements AsyncDisposable {
  readonly ready: Readonly<Record<string, unknown>>;
  /** The data folder as this process sees it. */
  readonly data: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, data: string, ready: Readonly<Record<string, unknown>>) {
    this.#child = child;
    this.data = `/proc/${String(child.pid)}/root${data}`;
    this.ready = ready;
  }

  /** @param size as tmpfs takes it, for example `1m`. @param flags those of `headgate agent` but for --data */
  static async start(size: string, data: string, flags: readonly string[], logFile: string): Promise<SmallDiskAgent> {
    mkdirSync(data, { recursive: true });
    const log = openSync(logFile, 'a');
    // Root of a namespace of its own where this user is not root.
    const own = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    const program = [HEADGATE, 'agent', '--data', data, ...flags];
    const child = spawn('unshare', [...own, '--mount', 'sh', '-c', MOUNT, 'sh', size, data, ...program], {
      stdio: ['ignore', 'pipe', log],
    });
    closeSync(log);
    const { stdout } = child;
    if (stdout === null) throw new Error('a piped child has no standard output');
    const [line] = (await Promise.race([
      once(createInterface({ input: stdout }), 'line'),
      once(child, 'exit').then(() => {
        throw new Error(`the agent ended: ${readFileSync(logFile, 'utf8').slice(-2_000)}`);
      }),
    ])) as [string];
    return new SmallDiskAgent(child, data, JSON.parse(line) as Record<string, unknown>);
  }

  /** Takes the space that is left. */
  fill(): void {
    const name = join(this.data, 'filler');
    for (let size = 65_536; size >= 1; size = Math.floor(size / 2)) {
      try {
        for (;;) writeFileSync(name, Buffer.alloc(size, 1), { flag: 'a' });
      } catch {
        // Full for pieces of this size.
      }
    }
  }

  async ops(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const answer = await fetch(`http://${String(this.ready['ops'])}${path}`);
    return { status: answer.status, text: await answer.text() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const haproxy = haproxyPids(this.data);
    if (this.#child.exitCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await ended;
    }
    for (const pid of haproxy) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  }
}
