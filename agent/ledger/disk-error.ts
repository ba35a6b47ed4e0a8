import { HeadgateError } from '../../lib/errors.ts';

/** Whether a file operation failed with one of these codes (`ENOENT`, …). */
export function hasCode(error: unknown, ...wanted: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && wanted.includes(String(error.code));
}

/** Why a file operation failed, in the operator's words. */
export function diskWords(error: unknown): string {
  if (hasCode(error, 'ENOSPC', 'EDQUOT')) return 'the disk is full';
  if (hasCode(error, 'EROFS')) return 'it is read-only';
  if (hasCode(error, 'EACCES', 'EPERM')) return 'permission denied';
  if (hasCode(error, 'ENOENT')) return 'it is not there any more';
  return error instanceof Error && !('code' in error) ? error.message : String(error);
}

/** A failed file operation in the ledger's folder. */
export function diskError(folder: string, error: unknown): HeadgateError {
  if (error instanceof HeadgateError) return error;
  return new HeadgateError('HG2003', `the ledger in ${folder} cannot be written: ${diskWords(error)}`, {
    remedy: 'free space or give the agent a folder of its own that it can write with --data; the last good state stays',
    cause: error,
  });
}
