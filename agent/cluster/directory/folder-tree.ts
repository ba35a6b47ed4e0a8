import { watch, type BigIntStats, type FSWatcher } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** What is at a path: relative to the root, parts joined by '/', '' for the root itself. */
export type Found =
  | { readonly kind: 'file'; readonly stats: BigIntStats }
  | { readonly kind: 'folder'; readonly stats: BigIntStats }
  /** Nothing that a manifest could be in. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'unknown'; readonly cause: unknown };

const MANIFEST = /\.(ya?ml|json)$/;

/**
 * A tree of folders, each watched by itself: one watch tells of every entry of its folder, files that are
 * written in place included, and costs nothing per file. What changed is told by path, never what changed.
 */
export class FolderTree implements Disposable {
  readonly #root: string;
  readonly #changed: (path: string) => void;
  readonly #unwatchable: (error: unknown) => void;
  readonly #watched = new Map<string, { readonly inode: bigint; readonly watcher: FSWatcher }>();

  /**
   * @param changed called with the path of an entry that may have changed, or of a folder of which that is all
   * that is known.
   * @param unwatchable called where a folder cannot be watched; it is still read by rescans.
   */
  constructor(root: string, changed: (path: string) => void, unwatchable: (error: unknown) => void) {
    this.#root = root;
    this.#changed = changed;
    this.#unwatchable = unwatchable;
  }

  absolute(path: string): string {
    return join(this.#root, path);
  }

  /** Folders are never followed through symbolic links, files are. */
  async find(path: string): Promise<Found> {
    try {
      const own = await lstat(this.absolute(path), { bigint: true });
      // The root may be a link: it was named by whoever started us.
      const stats = own.isSymbolicLink() ? await stat(this.absolute(path), { bigint: true }) : own;
      if (stats.isDirectory() && (stats === own || path === '')) return { kind: 'folder', stats };
      return stats.isFile() && MANIFEST.test(path) ? { kind: 'file', stats } : { kind: 'nothing' };
    } catch (cause) {
      return isAbsence(cause) ? { kind: 'nothing' } : { kind: 'unknown', cause };
    }
  }

  /** Entries of a folder that may hold manifests, as paths; watches the folder first, so that none is missed. */
  async list(path: string, { ino }: Pick<BigIntStats, 'ino'>): Promise<readonly string[]> {
    this.#watch(path, ino);
    const entries = await readdir(this.absolute(path), { withFileTypes: true });
    return entries
      .filter(({ name }) => !name.startsWith('.'))
      .filter((entry) => entry.isDirectory() || MANIFEST.test(entry.name))
      .map(({ name }) => child(path, name));
  }

  /** Stops watching a folder and all below it. */
  forget(path: string): void {
    for (const [folder, { watcher }] of this.#watched) {
      if (!isWithin(folder, path)) continue;
      watcher.close();
      this.#watched.delete(folder);
    }
  }

  isFolder(path: string): boolean {
    return this.#watched.has(path);
  }

  [Symbol.dispose](): void {
    this.forget('');
  }

  #watch(path: string, inode: bigint): void {
    const known = this.#watched.get(path);
    if (known?.inode === inode) return;
    // Another folder of the same name: a watch follows the folder, not the name.
    if (known !== undefined) this.forget(path);
    try {
      const watcher = watch(this.absolute(path), { persistent: false }, (_event, name) => {
        if (name === null) this.#changed(path);
        else if (!name.startsWith('.')) this.#changed(child(path, name));
      });
      watcher.on('error', (error) => {
        this.forget(path);
        this.#unwatchable(error);
        this.#changed(path);
      });
      this.#watched.set(path, { inode, watcher });
    } catch (error) {
      this.#unwatchable(error);
    }
  }
}

/** Whether `path` is `folder` or lies below it. */
export function isWithin(path: string, folder: string): boolean {
  return folder === '' || path === folder || path.startsWith(`${folder}/`);
}

function child(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

function isAbsence(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
