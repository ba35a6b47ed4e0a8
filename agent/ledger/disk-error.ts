import { HeadgateError } from '../../lib/errors.ts';

/** Whether a file operation failed with one of these codes (`ENOENT`, …). */
export function hasCode(error: unknown, ...wanted: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && wanted.includes(String(error.code));
}

/** A failed file operation in the ledger's folder, in the operator's words. */
export function diskError(folder: string, error: unknown): HeadgateError {
  if (error instanceof HeadgateError) return error;
  const why = hasCode(error, 'ENOSPC', 'EDQUOT')
    ? 'the disk is full'
    : hasCode(error, 'EROFS')
      ? 'it is read-only'
      : hasCode(error, 'EACCES', 'EPERM')
        ? 'permission denied'
        : String(error);
  return new HeadgateError('HG2003', `the ledger in ${folder} cannot be written: ${why}`, {
    remedy: 'free space or give the agent a folder of its own that it can write with --data; the last good state stays',
    cause: error,
  });
}
