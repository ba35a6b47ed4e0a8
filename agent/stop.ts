import { readFile } from 'node:fs/promises';

import { systemClock } from '../lib/clock.ts';
import { HeadgateError } from '../lib/errors.ts';
import { dropSubstitute, haproxyFolders } from './haproxy/process/haproxy-folder.ts';
import { isAlive, sendSignal, stopHaproxy } from './haproxy/process/stop.ts';
import { readPidFile } from './pid-file.ts';

const PATIENCE_MS = 10_000;
/** For requests in flight at HAProxy. */
const GRACE_MS = 2_000;

/**
 * Ends the agent of a data folder and the HAProxy that it left serving. Where neither runs, nothing happens.
 *
 * @returns what was ended, for people.
 * @throws HG2003 where the agent does not end
 */
export async function stopAgent(data: string): Promise<readonly string[]> {
  const folders = await haproxyFolders(data);
  let pid = await readPidFile(data);
  for (const folder of folders) pid ??= await readPidFile(folder);
  const ended: string[] = [];
  if (pid !== undefined && (await isAgent(pid))) {
    await end(pid, data);
    ended.push('the agent');
  }
  for (const folder of folders) {
    const ran = await stopHaproxy(folder, GRACE_MS, systemClock);
    if (ran) ended.push('HAProxy');
  }
  await dropSubstitute(data);
  return ended;
}

/** A pid file outlives a crash and pids are used again: only a process that looks like an agent is ended. */
async function isAgent(pid: number): Promise<boolean> {
  try {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    return words.includes('agent');
  } catch (thrown) {
    // Without /proc (macOS) the pid file is believed.
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT' && process.platform !== 'linux';
  }
}

async function end(pid: number, data: string): Promise<void> {
  const started = systemClock.now();
  sendSignal(pid, 'SIGTERM');
  while (isAlive(pid)) {
    if (systemClock.now() - started > PATIENCE_MS) {
      throw new HeadgateError('HG2003', `the agent of '${data}' (process ${pid}) does not end`, {
        remedy: `end it by hand: kill -9 ${pid}`,
      });
    }
    await systemClock.sleep(20);
  }
}
