import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { HeadgateError } from '../lib/errors.ts';

export interface ManifestFile {
  readonly name: string;
  readonly text: string;
}

/**
 * What -f names: a file, every *.yaml, *.yml and *.json under a folder (no dotfiles), or - for standard input.
 * @throws HeadgateError HG2001 unreadable, or a folder without manifests
 */
export async function readManifests(paths: readonly string[]): Promise<readonly ManifestFile[]> {
  const files: ManifestFile[] = [];
  for (const path of paths) {
    if (path === '-') files.push({ name: 'standard input', text: await readAll(process.stdin) });
    else files.push(...(await readPath(path)));
  }
  return files;
}

async function readPath(path: string): Promise<readonly ManifestFile[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [{ name: path, text: await readFile(path, 'utf8') }];
    const names = (await readdir(path, { recursive: true }))
      .filter((name) => /\.(yaml|yml|json)$/.test(name) && !name.split(/[/\\]/).some((part) => part.startsWith('.')))
      .sort();
    if (names.length === 0) {
      throw new HeadgateError('HG2001', `${path} holds no manifest`, { remedy: 'put *.yaml, *.yml or *.json there' });
    }
    return await Promise.all(
      names.map(async (name) => ({ name: join(path, name), text: await readFile(join(path, name), 'utf8') })),
    );
  } catch (error) {
    if (error instanceof HeadgateError) throw error;
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    throw new HeadgateError('HG2001', `cannot read ${path}${code}`, { remedy: 'check the path', cause: error });
  }
}
