import { mkdir } from 'node:fs/promises';
import { HeadgateError } from './errors.ts';

/**
 * Makes a data folder (0700) where it is missing.
 * @throws HeadgateError HG2003
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new HeadgateError('HG2003', `the data folder '${folder}' cannot be made: ${reason(code)}`, {
      remedy: 'give --data a folder that this user may write',
      cause,
    });
  }
}

function reason(code: string): string {
  switch (code) {
    case 'EEXIST':
      return 'a file of that name is there';
    case 'ENOTDIR':
      return 'a part of the path is a file';
    case 'EROFS':
      return 'the file system is read-only';
    case 'ENOSPC':
    case 'EDQUOT':
      return 'the disk is full';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    default:
      return code;
  }
}
