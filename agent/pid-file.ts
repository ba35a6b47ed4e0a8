import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const FILE = 'agent.pid';

/** Says in the data folder which process the agent is, until disposed; `headgate agent stop` reads it. */
export async function holdPidFile(folder: string): Promise<AsyncDisposable> {
  const file = join(folder, FILE);
  await writeFile(file, `${process.pid}\n`);
  return {
    [Symbol.asyncDispose]: async () => {
      if ((await readPidFile(folder)) === process.pid) await rm(file, { force: true });
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
