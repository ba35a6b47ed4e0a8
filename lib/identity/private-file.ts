import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HeadgateError } from '../errors.ts';

/** Reads a file; undefined when there is none. Throws HG2003. */
export async function readPrivateFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw unusable(path, 'read', cause);
  }
}

/**
 * Replaces a file, readable by its owner alone (0600, folder 0700): after a crash it holds the old text or
 * the new, never a part. Resolves when it would survive a power cut. Throws HG2003.
 */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  await place(path, text, rename);
}

/** As `writePrivateFile`, but a file that is there already stays. Returns whether it was made. */
export async function createPrivateFile(path: string, text: string): Promise<boolean> {
  // Where it is there nothing is written, not even a draft: the disk may be full or read-only.
  if ((await stat(path).catch(() => undefined)) !== undefined) return false;
  let made = true;
  await place(path, text, async (temporary, target) => {
    try {
      await link(temporary, target);
    } catch (thrown) {
      if (codeOf(thrown) !== 'EEXIST') throw thrown;
      made = false;
    } finally {
      await unlink(temporary);
    }
  });
  return made;
}

async function place(path: string, text: string, into: (temporary: string, path: string) => Promise<void>) {
  const folder = dirname(path);
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    {
      await using file = await open(temporary, 'wx', 0o600);
      await file.writeFile(text);
      await file.sync();
    }
    await into(temporary, path);
    // The name is durable only with its folder.
    await using directory = await open(folder, 'r');
    await directory.sync();
  } catch (cause) {
    await unlink(temporary).catch(() => undefined);
    throw unusable(path, 'written', cause);
  }
}

function unusable(path: string, verb: string, cause: unknown): HeadgateError {
  return new HeadgateError('HG2003', `'${path}' cannot be ${verb}: ${codeOf(cause) ?? String(cause)}`, {
    remedy: 'check the owner, the mode and the free space of its folder',
    cause,
  });
}

function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
}
