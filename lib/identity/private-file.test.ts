import { mkdtempDisposable, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createPrivateFile, readPrivateFile, writePrivateFile } from './private-file.ts';

test('a private file is replaced whole, made once, and leaves nothing beside it', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'headgate-private-'));
  const file = join(folder.path, 'deep', 'file');
  expect(await readPrivateFile(file)).toBeUndefined();
  const made = await Promise.all(['a', 'b', 'c'].map((text) => createPrivateFile(file, text)));
  expect(made.filter(Boolean)).toHaveLength(1);
  expect(await readPrivateFile(file)).toBe(['a', 'b', 'c'][made.indexOf(true)]);
  await writePrivateFile(file, 'd');
  expect(await readPrivateFile(file)).toBe('d');
  expect(await readdir(join(folder.path, 'deep'))).toEqual(['file']);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test('what cannot be read or written is HG2003', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'headgate-private-'));
  const file = join(folder.path, 'file');
  await writePrivateFile(file, 'text');
  for (const work of [
    () => readPrivateFile(folder.path),
    () => writePrivateFile(join(file, 'below'), 'x'),
    () => createPrivateFile(join(file, 'below'), 'x'),
    () => writePrivateFile(folder.path, 'x'),
  ]) {
    await expect(work()).rejects.toMatchObject({ code: 'HG2003' });
  }
});
