import { execFile, execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { MASTER_SOCKET } from '../../agent/haproxy/process/stop.ts';
import { haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';

/** What docs/operations.md says to run, in a container that has nothing in common with the agent's but one folder. */
const RUN = `
mount -t tmpfs tmpfs /dev/shm && mount --bind "$1" "$2" && cd "$2" &&
exec env -i "$3" -W -S "unix@${MASTER_SOCKET},mode,600" -f conf`;

/** HAProxy in PID and mount namespaces of its own, as in a container; its master is process 1 there. */
export class HaproxyContainer implements AsyncDisposable {
  readonly #folder: string;
  readonly #place = mkdtempSync(join(tmpdir(), 'hg-mnt-'));
  readonly #binary = execFileSync('sh', ['-c', `command -v "$1"`, 'sh', haproxyBinary]).toString().trim();
  #child: ChildProcess | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  start(): void {
    // Root of a namespace of its own where this user is not root.
    const own = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    const namespaces = [...own, '--pid', '--mount', '--fork', '--mount-proc', '--kill-child'];
    const log = openSync(`${this.#place}.log`, 'a');
    this.#child = spawn('unshare', [...namespaces, 'sh', '-c', RUN, 'sh', this.#folder, this.#place, this.#binary], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
  }

  /** Pids of master and workers as they are called here, the master first. */
  pids(): readonly number[] {
    const below = (pid: number): number[] =>
      readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
        .split(' ')
        .filter((word) => word.trim() !== '')
        .flatMap((word) => [Number(word), ...below(Number(word))]);
    return this.#child?.pid === undefined ? [] : below(this.#child.pid);
  }

  /** The folder as it is called inside. */
  get place(): string {
    return this.#place;
  }

  /** Runs a program inside, as a hook or a probe does, until its end or the container's. @throws where it fails */
  async exec(command: string, args: readonly string[]): Promise<void> {
    const [master = 0] = this.pids();
    const own = process.getuid?.() === 0 ? [] : ['--user', '--preserve-credentials'];
    const inside = ['--target', String(master), ...own, '--mount', '--pid', '--', command, ...args];
    await promisify(execFile)('nsenter', inside).catch((error: unknown) => {
      // The end of the first process is that of all.
      if (!(error instanceof Error && 'signal' in error && error.signal === 'SIGKILL')) throw error;
    });
  }

  /** Resolves when its first process has ended by itself. */
  async ended(): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  /** Ends all of it at once, as a container's end does. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#place, { recursive: true, force: true });
    rmSync(`${this.#place}.log`, { force: true });
  }
}
