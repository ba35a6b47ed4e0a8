import type { BigIntStats } from 'node:fs';

/** Identifies one state of a file. */
export interface FileState {
  readonly inode: bigint;
  readonly size: bigint;
  readonly modified: bigint;
  readonly changed: bigint;
}

export function stateOf(stats: BigIntStats): FileState {
  return { inode: stats.ino, size: stats.size, modified: stats.mtimeNs, changed: stats.ctimeNs };
}

export function sameState(a: FileState, b: FileState): boolean {
  return a.inode === b.inode && a.size === b.size && a.modified === b.modified && a.changed === b.changed;
}

/** Milliseconds without a write after which a file that is written in place counts as written. */
export const QUIET_MS = 10;
/** Milliseconds after which it is read even while it is still being written. */
const PATIENCE_MS = 200;

/**
 * Files that are being written in place, and so may be half-written. A file that was renamed into its place is
 * whole, and never comes here.
 */
export class SettlingFiles {
  readonly #files = new Map<string, { readonly state: FileState; readonly since: number }>();

  /** @returns whether the file may be read now; otherwise it should be looked at again after `QUIET_MS`. */
  settled(path: string, state: FileState, now: number): boolean {
    const before = this.#files.get(path);
    if (before !== undefined && (sameState(before.state, state) || now - before.since >= PATIENCE_MS)) {
      this.#files.delete(path);
      return true;
    }
    this.#files.set(path, { state, since: before?.since ?? now });
    return false;
  }

  forget(path: string): void {
    this.#files.delete(path);
  }
}

/** Whether a text ends as a finished file does: with a line, or with the bracket that closes a JSON value. */
export function looksFinished(text: string): boolean {
  return /[\n}\]]\s*$/.test(text.slice(-64));
}
