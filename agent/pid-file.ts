import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Log } from '../lib/log.ts';

const FILE = 'agent.pid';

/** Says in the data folder which process the agent is, until disposed; `headgate agent stop` reads it. */
export async function holdPidFile(folder: string, log: Log): Promise<AsyncDisposable> {
  const file = join(folder, FILE);
  try {
    await writeFile(file, `${process.pid}\n`);
  } catch (error) {
    // A node that can serve does.
    log.warn('agent stop will not find this process', { error });
  }
  return {
    [Symbol.asyncDispose]: async () => {
      if ((await readPidFile(folder)) === process.pid) await rm(file, { force: true }).catch(() => undefined);
    },
  };
}

/** @returns undefined where no agent has said that it runs. */
export async function readPidFile(folder: string): Promise<number | undefined> {
  try {
    const pid = Number((await readFile(join(folder, FILE), 'utf8')).trim());
    return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}
