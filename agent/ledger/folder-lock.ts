import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HeadgateError } from '../../lib/errors.ts';

/**
 * Holds a folder against a second process. SQLite takes a lock of the kernel's on an empty file, which dies
 * with its process: there is no stale lock to judge, not even across containers that share the volume.
 *
 * @throws HG2003 where another process holds it. SQLite's own error where the file cannot be opened.
 */
export function lockFolder(folder: string): Disposable {
  const database = new DatabaseSync(join(folder, 'lock'), { timeout: 0 });
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) {
      throw new HeadgateError('HG2003', `another agent uses this folder: ${folder}`, {
        remedy: 'stop that agent, or give this one a folder of its own with --data',
        cause: error,
      });
    }
    throw error;
  }
  return { [Symbol.dispose]: () => database.close() };
}

const SQLITE_BUSY = 5;
