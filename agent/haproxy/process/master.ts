import { connect } from 'node:net';
import { HeadgateError } from '../../../lib/errors.ts';

/** `show proc` of a master. */
export interface ProcessTable {
  readonly master: number;
  readonly reloads: number;
  /** Reloads that failed since the last that succeeded. */
  readonly failed: number;
  readonly worker: number | undefined;
  readonly oldWorkers: readonly number[];
}

/**
 * One command on a connection of its own, to a master or a worker. Half-closing makes it answer and end, a master's
 * interactive socket too.
 *
 * @throws the socket's error, or one where no whole answer came within `timeout` milliseconds.
 */
export async function askOnce(path: string, command: string, timeout: number): Promise<string> {
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    const socket = connect(path);
    const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${timeout} ms`)), timeout);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('error', reject);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.end(`${command}\n`);
  });
  return Buffer.concat(chunks).toString();
}

/** @throws HG5004 where the master does not answer. */
export async function askMaster(path: string, command: string, timeout = 2_000): Promise<string> {
  try {
    return await askOnce(path, command, timeout);
  } catch (error) {
    throw HeadgateError.from(error, 'HG5004', `HAProxy's master at ${path} does not answer`);
  }
}

/** @throws HG5004 where the master does not answer. */
export async function showProcesses(path: string): Promise<ProcessTable> {
  return parseProcesses(await askMaster(path, 'show proc'));
}

export function parseProcesses(output: string): ProcessTable {
  let section = '';
  let master: ProcessTable | undefined;
  let worker: number | undefined;
  const oldWorkers: number[] = [];
  let youngest = Infinity;
  let last: number | undefined;
  for (const line of output.split('\n')) {
    if (line.startsWith('#')) section = line.slice(1).trim();
    const [, pid, type] = /^(\d+)\s+(\S+)/.exec(line) ?? [];
    if (type === 'master') {
      const [, reloads, failed] = /^\d+\s+master\s+(\d+)(?:\s+\[failed: (\d+)\])?/.exec(line) ?? [];
      master = { master: Number(pid), reloads: Number(reloads), failed: Number(failed ?? 0), worker, oldWorkers };
    } else if (type === 'worker' && section === 'workers') worker = Number(pid);
    else if (type === 'worker') {
      oldWorkers.push(Number(pid));
      const age = Number(/^\d+\s+worker\s+(\d+)/.exec(line)?.[1]);
      if (age <= youngest) [youngest, last] = [age, Number(pid)];
    }
  }
  if (master === undefined) throw new HeadgateError('HG5004', "HAProxy's master gave no table of its processes");
  // After a reload that failed the worker from before serves on, though the master counts it among the old.
  if (worker === undefined && master.failed > 0) worker = last;
  return { ...master, worker, oldWorkers: oldWorkers.filter((pid) => pid !== worker) };
}
