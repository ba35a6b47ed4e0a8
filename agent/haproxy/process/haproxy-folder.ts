import { hash } from 'node:crypto';
import { mkdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { HeadgateError } from '../../../lib/errors.ts';
import { isPrivate, memoryRoot } from './memory-folder.ts';
import { isRunning } from './stop.ts';

export interface HaproxyFolder {
  readonly folder: string;
  /** Why it is not the one below the data folder; undefined where it is. */
  readonly problem: string | undefined;
}

/**
 * Where HAProxy's files and sockets are: below the agent's data folder, or where that takes no files, for example since
 * the disk is read-only, in a folder of this user's alone, in memory where there is such a place. A HAProxy that runs in
 * either is where it is.
 *
 * @throws HG2003 where neither can be used
 */
export async function chooseHaproxyFolder(data: string): Promise<HaproxyFolder> {
  const usual = usualFolder(data);
  const other = await substituteFolder(data);
  if (await isRunning(usual)) return { folder: usual, problem: undefined };
  if ((await isPrivate(other)) && (await isRunning(other))) {
    return { folder: other, problem: `HAProxy was started in ${other} while ${usual} took no files` };
  }
  const problem = await refusal(usual);
  if (problem === undefined) return { folder: usual, problem: undefined };
  await mkdir(other, { mode: 0o700 }).catch(() => undefined);
  return { folder: await owned(other), problem: `HAProxy's files are in ${other}: ${problem}` };
}

/** The folders in which an agent of this data folder may have left a HAProxy. */
export async function haproxyFolders(data: string): Promise<readonly string[]> {
  const other = await substituteFolder(data);
  return (await isPrivate(other)) ? [usualFolder(data), other] : [usualFolder(data)];
}

/** Removes the substitute of a data folder's own, once no HAProxy runs there. */
export async function dropSubstitute(data: string): Promise<void> {
  const other = await substituteFolder(data);
  if (await isPrivate(other)) await rm(other, { recursive: true, force: true });
}

function usualFolder(data: string): string {
  return join(data, 'haproxy');
}

/** The same for every agent of one user with one data folder. */
async function substituteFolder(data: string): Promise<string> {
  const path = await realpath(data).catch(() => resolve(data));
  const name = hash('sha256', `${String(process.getuid?.())} ${path}`, 'hex').slice(0, 16);
  return join((await memoryRoot()) ?? tmpdir(), `headgate-${name}`);
}

/** Why the folder takes no files. */
async function refusal(folder: string): Promise<string | undefined> {
  const trial = join(folder, '.trial');
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(trial, '');
    await rm(trial);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

async function owned(folder: string): Promise<string> {
  if (await isPrivate(folder)) return folder;
  throw new HeadgateError('HG2003', `${folder} is not a folder of this user's alone`, {
    remedy: 'remove it, or give the agent a data folder that it can write',
  });
}
