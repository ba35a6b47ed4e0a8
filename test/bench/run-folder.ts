import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Where one run puts all its temporary files. Its end is the end of every process that the run has left: those
 * below it in the process tree, and those that work in the folder (a HAProxy outlives its agent on purpose).
 */
export class RunFolder implements Disposable {
  readonly path: string;

  constructor() {
    // A short name: the sockets of HAProxy lie below it.
    this.path = mkdtempSync(join(tmpdir(), 'hb-'));
    process.env['TMPDIR'] = this.path;
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      process.once(signal, () => {
        this[Symbol.dispose]();
        process.exit(code);
      });
    }
  }

  [Symbol.dispose](): void {
    for (const pid of [...descendants(process.pid), ...workingIn(this.path)]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone meanwhile.
      }
    }
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** Where there is no /proc, none are found. */
function descendants(pid: number): number[] {
  let children: number[];
  try {
    children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
  return children.flatMap((child) => [...descendants(child), child]);
}

function workingIn(folder: string): number[] {
  let pids: string[];
  try {
    pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
  return pids.flatMap((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`) ? [Number(pid)] : [];
    } catch {
      return [];
    }
  });
}
