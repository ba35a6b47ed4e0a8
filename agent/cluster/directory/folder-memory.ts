import { hash } from 'node:crypto';
import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { HeadgateError } from '../../../lib/errors.ts';
import { openSealer } from '../../ledger/seal.ts';

/**
 * The last text of each file that held no fault, kept across restarts: an agent that starts while a file is
 * broken still knows what its objects were. Texts are sealed, since manifests hold private keys.
 */
export interface FolderMemory extends Disposable {
  get(path: string): string | undefined;
  paths(): readonly string[];
  /** Keeps texts by path, and forgets paths whose text is undefined. @throws HeadgateError HG2003 */
  keep(texts: ReadonlyMap<string, string | undefined>): void;
}

export interface FolderMemoryOptions {
  readonly file: string;
  /** As for the ledger. */
  readonly keyFile: string;
}

/** @throws HeadgateError HG2003 where the file cannot be used. */
export async function openFolderMemory({ file, keyFile }: FolderMemoryOptions): Promise<FolderMemory> {
  const sealer = await openSealer(keyFile);
  try {
    return new SqliteMemory(openDatabase(file), sealer);
  } catch (thrown) {
    throw HeadgateError.from(thrown, 'HG2003', `cannot use ${file}`);
  }
}

function openDatabase(file: string): DatabaseSync {
  // SQLite would make it readable by everybody; its journals take the mode of the file.
  closeSync(openSync(file, 'a', 0o600));
  chmodSync(file, 0o600);
  const database = new DatabaseSync(file);
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS file (path TEXT PRIMARY KEY, digest TEXT NOT NULL, sealed BLOB NOT NULL) STRICT;
  `);
  return database;
}

type Sealer = Awaited<ReturnType<typeof openSealer>>;

class SqliteMemory implements FolderMemory {
  readonly #database: DatabaseSync;
  readonly #sealer: Sealer;
  /** Of the kept texts, so that one that is kept already costs nothing. */
  readonly #digests = new Map<string, string>();

  constructor(database: DatabaseSync, sealer: Sealer) {
    this.#database = database;
    this.#sealer = sealer;
    for (const { path, digest } of database.prepare('SELECT path, digest FROM file').all()) {
      this.#digests.set(String(path), String(digest));
    }
  }

  get(path: string): string | undefined {
    const row = this.#database.prepare('SELECT sealed FROM file WHERE path = ?').get(path);
    const sealed = row?.['sealed'];
    // Under another key it is as good as not there.
    return sealed instanceof Uint8Array ? this.#sealer.open(keyOf(path), sealed)?.toString('utf8') : undefined;
  }

  paths(): readonly string[] {
    return [...this.#digests.keys()];
  }

  keep(texts: ReadonlyMap<string, string | undefined>): void {
    const changed = [...texts]
      .map(([path, text]) => ({ path, text, digest: text === undefined ? undefined : hash('sha256', text, 'hex') }))
      .filter(({ path, digest }) => this.#digests.get(path) !== digest);
    if (changed.length === 0) return;
    try {
      this.#database.exec('BEGIN');
      const put = this.#database.prepare('INSERT OR REPLACE INTO file (path, digest, sealed) VALUES (?, ?, ?)');
      const remove = this.#database.prepare('DELETE FROM file WHERE path = ?');
      for (const { path, text, digest } of changed) {
        if (text === undefined || digest === undefined) remove.run(path);
        else put.run(path, digest, this.#sealer.seal(keyOf(path), Buffer.from(text)));
      }
      this.#database.exec('COMMIT');
    } catch (thrown) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw HeadgateError.from(thrown, 'HG2003', 'cannot keep the last good manifests');
    }
    for (const { path, digest } of changed) {
      if (digest === undefined) this.#digests.delete(path);
      else this.#digests.set(path, digest);
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

function keyOf(path: string): { readonly type: string; readonly name: string } {
  return { type: 'local-manifest', name: path };
}
