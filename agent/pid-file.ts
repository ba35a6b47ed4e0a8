import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Log } from '../lib/log.ts';

const FILE = 'agent.pid';

/**
 * Says which process the agent is, until disposed; `headgate agent stop` reads it.
 *
 * @param folders the first that takes the file has it: the data folder, then HAProxy's
 */
export async function holdPidFile(folders: readonly string[], log: Log): Promise<AsyncDisposable> {
  let [held, trouble]: [string | undefined, unknown] = [undefined, undefined];
  for (const folder of folders) {
    try {
      await writeFile(join(folder, FILE), `${process.pid}\n`);
      held = folder;
      break;
    } catch (error) {
      trouble = error;
    }
  }
  // A node that can serve does.
  if (held === undefined) log.warn('agent stop will not find this process', { error: trouble });
  return {
    [Symbol.asyncDispose]: async () => {
      if (held === undefined || (await readPidFile(held)) !== process.pid) return;
      await rm(join(held, FILE), { force: true }).catch(() => undefined);
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
