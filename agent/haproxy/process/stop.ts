import { readdirSync, readFileSync, statSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../../lib/clock.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import { showProcesses, type ProcessTable } from './master.ts';
import { dropSecrets } from './memory-folder.ts';

export const MASTER_SOCKET = 'master.sock';
export const PID_FILE = 'haproxy.pid';

/**
 * Ends the HAProxy of a folder: lets connections end for `grace` milliseconds, then ends them. Where none
 * answers, `known` is ended, or the one that is noted in the folder. Its keys go with it.
 *
 * @returns whether one ran.
 * @throws HG5004 for one that was started elsewhere, for example in a container of its own: it cannot be ended here.
 */
export async function stopHaproxy(folder: string, grace: number, clock: Clock, known?: ProcessTable): Promise<boolean> {
  const table = await showProcesses(join(folder, MASTER_SOCKET)).catch(() => known ?? findNoted(folder));
  if (table === undefined) {
    await dropSecrets(folder);
    return false;
  }
  if (table !== known && !isOf(table.master, folder)) throw elsewhere(folder);
  const all = [table.master, ...(table.worker === undefined ? [] : [table.worker]), ...table.oldWorkers];
  for (const [name, wait] of [
    ['SIGUSR1', grace],
    ['SIGTERM', 2_000],
  ] as const) {
    sendSignal(table.master, name);
    for (const until = clock.now() + wait; clock.now() < until && all.some(isAlive);) await clock.sleep(20);
  }
  for (const pid of all) sendSignal(pid, 'SIGKILL');
  while (all.some(isAlive)) await clock.sleep(5);
  for (const name of [PID_FILE, MASTER_SOCKET]) await rm(join(folder, name), { force: true });
  await dropSecrets(folder);
  return true;
}

/** The HAProxy that is noted in a folder and runs there, though its master may not answer. Needs /proc. */
export async function findNoted(folder: string): Promise<ProcessTable | undefined> {
  try {
    const master = Number(await readFile(join(folder, PID_FILE), 'utf8'));
    if (!isAlive(master) || !isOf(master, folder)) return undefined;
    const workers = (await readFile(`/proc/${master}/task/${master}/children`, 'utf8')).trim().split(' ').map(Number);
    // In the order they were forked.
    return { master, reloads: 0, failed: 0, worker: workers.at(-1), oldWorkers: workers.slice(0, -1) };
  } catch {
    return undefined;
  }
}

export async function isRunning(folder: string): Promise<boolean> {
  return await showProcesses(join(folder, MASTER_SOCKET)).then(
    ({ worker }) => worker !== undefined,
    async () => (await findNoted(folder)) !== undefined,
  );
}

/**
 * Whether a process of this PID namespace works in a folder. A pid that HAProxy says of itself may be another process's
 * here. Without /proc, as on macOS, it is believed.
 */
export function isOf(pid: number, folder: string): boolean {
  if (process.platform !== 'linux') return true;
  try {
    const [one, other] = [statSync(`/proc/${pid}/cwd`), statSync(folder)];
    return one.dev === other.dev && one.ino === other.ino;
  } catch {
    return false;
  }
}

export function elsewhere(folder: string): HeadgateError {
  return new HeadgateError('HG5004', `HAProxy in ${folder} was started elsewhere, in a PID namespace of its own`, {
    remedy: 'end it where it was started, or start the agent with --haproxy-external',
  });
}

/** Whether a process still runs. One that ended is gone even where nobody collects it, as in a container without init. */
export function isAlive(pid: number): boolean {
  if (!sendSignal(pid, 0)) return false;
  try {
    // proc_pid_stat(5): state is the field after the command's closing parenthesis.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // A process is a zombie from its first thread's end on; it lets go of its sockets with its last.
    return stat[stat.lastIndexOf(')') + 2] !== 'Z' || readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    // No /proc, as on macOS: what can be signalled counts as alive.
    return sendSignal(pid, 0);
  }
}

/** @returns whether there was such a process. */
export function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
