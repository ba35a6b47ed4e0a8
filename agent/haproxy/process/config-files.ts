import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HeadgateError } from '../../../lib/errors.ts';
import { diskWords } from '../../ledger/disk-error.ts';
import { placeSecrets, secretFolders } from './memory-folder.ts';

/** Folders whose content is all ours to keep or remove. */
const folders = ['conf', 'maps', ...secretFolders];

/**
 * The files that HAProxy reads, in its folder. Each is replaced by a rename, so none is ever seen in part. They
 * are not synced: after a power cut the agent writes them anew from the ledger before it starts HAProxy.
 */
export class ConfigFiles {
  readonly #folder: string;
  /** Where the folders with keys really are. */
  #secrets: string;

  readonly #shared: boolean;
  /** Of the folder as it was found: below an unmounted disk another comes to light. */
  #identity: string | undefined;

  /** @param shared HAProxy runs in another mount namespace that has this folder alone in common. */
  constructor(folder: string, shared: boolean) {
    this.#folder = folder;
    this.#shared = shared;
    this.#secrets = folder;
  }

  /** Makes the folders. @returns whether those with keys were made now, and so are empty. */
  async prepare(): Promise<boolean> {
    try {
      await this.#assertSame();
      for (const name of ['conf', 'maps', 'run']) {
        await mkdir(join(this.#folder, name), { recursive: true, mode: 0o700 });
      }
      const { place, isNew } = await placeSecrets(this.#folder, this.#shared);
      this.#secrets = place;
      this.#identity ??= await identityOf(this.#folder);
      return isNew;
    } catch (error) {
      throw unusable(this.#folder, error);
    }
  }

  async read(name: string): Promise<string | undefined> {
    return await readFile(join(this.#folder, name), 'utf8').catch(() => undefined);
  }

  /** An undefined text removes the file. */
  async write(changed: Iterable<readonly [name: string, text: string | undefined]>): Promise<void> {
    try {
      await this.#assertSame();
      await Promise.all([...changed].map(([name, text]) => this.#write(name, text)));
    } catch (error) {
      throw unusable(this.#folder, error);
    }
  }

  /** Makes the folder hold these files and no others; touches only what differs. @returns the names of those. */
  async replaceAll(wanted: ReadonlyMap<string, string>): Promise<ReadonlySet<string>> {
    const changed = new Map<string, string | undefined>();
    for (const folder of folders) {
      for (const name of await readdir(join(this.#folder, folder))) {
        if (!wanted.has(`${folder}/${name}`)) changed.set(`${folder}/${name}`, undefined);
      }
    }
    for (const [name, text] of wanted) if ((await this.read(name)) !== text) changed.set(name, text);
    await this.write(changed);
    return new Set(changed.keys());
  }

  async #assertSame(): Promise<void> {
    if (this.#identity === undefined || (await identityOf(this.#folder)) === this.#identity) return;
    throw new Error('another folder is in its place');
  }

  async #write(name: string, text: string | undefined): Promise<void> {
    // The draft too: it must lie on the same file system, and a key on none but that.
    const root = secretFolders.some((folder) => name.startsWith(`${folder}/`)) ? this.#secrets : this.#folder;
    const path = join(root, name);
    if (text === undefined) {
      await rm(path, { force: true });
      return;
    }
    // Beside its folder, not in it: HAProxy loads whatever lies in the folder of its configuration.
    const draft = join(root, `.${name.replaceAll('/', '-')}`);
    await writeFile(draft, text, { mode: 0o600 });
    await rename(draft, path);
  }
}

async function identityOf(folder: string): Promise<string> {
  const { dev, ino } = await stat(folder);
  return `${dev} ${ino}`;
}

function unusable(folder: string, cause: unknown): HeadgateError {
  return new HeadgateError('HG2003', `HAProxy's folder ${folder} cannot be written: ${diskWords(cause)}`, { cause });
}
