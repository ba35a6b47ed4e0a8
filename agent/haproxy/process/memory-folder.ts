import { lstat, mkdir, mkdtemp, readlink, rm, stat, statfs, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { hasCode } from '../../ledger/disk-error.ts';

/** Folders of HAProxy's that hold private keys. */
export const secretFolders = ['certs', 'gateway'] as const;

/** File systems that live in memory, by their type in statfs(2): tmpfs and ramfs. */
const IN_MEMORY = new Set([0x01021994, 0x858458f6]);
const PREFIX = 'headgate-';

export interface Place {
  readonly place: string;
  readonly isNew: boolean;
}

/**
 * Sees to it that the folders with private keys lie in memory: each is a link into a folder of this user's alone on a
 * file system in memory. A later agent finds it again by the links; after a stop or a reboot it is made anew. Where
 * HAProxy's folder is in memory itself, or this system has no such place, they are ordinary folders.
 *
 * @param shared another container shares HAProxy's folder and nothing else: then they are ordinary folders too, and it
 *   is for whoever mounts it to have it in memory.
 * @returns where the folders really are, and whether they were made now and hold nothing.
 */
export async function placeSecrets(folder: string, shared: boolean): Promise<Place> {
  const held = shared ? undefined : await heldPlace(folder);
  if (held !== undefined) return { place: held, isNew: false };
  const remade = shared ? undefined : await remadePlace(folder);
  if (remade !== undefined) return { place: remade, isNew: true };
  const root = shared || (await isInMemory(folder)) ? undefined : await memoryRoot();
  const place = root === undefined ? folder : await mkdtemp(join(root, PREFIX));
  for (const name of secretFolders) {
    // What a reboot left of a link, or ordinary folders from before: all of it is written anew.
    if (root !== undefined || (await isLink(join(folder, name)))) {
      await rm(join(folder, name), { recursive: true, force: true });
    }
    await mkdir(join(place, name), { recursive: true, mode: 0o700 });
    if (root !== undefined) await symlink(join(place, name), join(folder, name));
  }
  return { place, isNew: root !== undefined };
}

/**
 * Removes what `placeSecrets` made in memory. The links stay: the next start makes their place anew, on a full disk
 * too. HAProxy must have ended.
 */
export async function dropSecrets(folder: string): Promise<void> {
  const place = await linkedPlace(folder);
  if (place !== undefined && isOurs(place)) await rm(place, { recursive: true, force: true });
}

/** Makes the place that the links lead to anew where it is gone; undefined where another user took its name. */
async function remadePlace(folder: string): Promise<string | undefined> {
  const place = await linkedPlace(folder);
  if (place === undefined || !isOurs(place) || dirname(place) !== (await memoryRoot())) return undefined;
  try {
    await mkdir(place, { mode: 0o700 });
    for (const name of secretFolders) await mkdir(join(place, name), { mode: 0o700 });
    return place;
  } catch {
    return undefined;
  }
}

function isOurs(place: string): boolean {
  return basename(place).startsWith(PREFIX);
}

/** Whether it is a folder of this user's alone, and no link: places in memory are open to every user. */
export async function isPrivate(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
}

/** Where the links lead, while that is there and this user's alone. */
async function heldPlace(folder: string): Promise<string | undefined> {
  const place = await linkedPlace(folder);
  if (place === undefined) return undefined;
  for (const name of ['', ...secretFolders]) {
    if (!(await isPrivate(join(place, name)))) return undefined;
  }
  return place;
}

async function linkedPlace(folder: string): Promise<string | undefined> {
  const places = new Set<string>();
  for (const name of secretFolders) {
    try {
      places.add(dirname(await readlink(join(folder, name))));
    } catch (error) {
      if (hasCode(error, 'EINVAL', 'ENOENT', 'ENOTDIR')) return undefined;
      throw error;
    }
  }
  const [place, other] = places;
  return other === undefined ? place : undefined;
}

/** A place in memory that takes files. */
export async function memoryRoot(): Promise<string | undefined> {
  for (const root of ['/dev/shm', process.env['XDG_RUNTIME_DIR']]) {
    if (root === undefined || root === '' || !(await isInMemory(root))) continue;
    if (await isWritable(root)) return root;
  }
  return undefined;
}

async function isWritable(root: string): Promise<boolean> {
  try {
    await rm(await mkdtemp(join(root, PREFIX)), { recursive: true });
    return true;
  } catch {
    return false;
  }
}

export async function isInMemory(path: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && IN_MEMORY.has((await statfs(path)).type);
}

async function isLink(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isSymbolicLink() === true;
}
