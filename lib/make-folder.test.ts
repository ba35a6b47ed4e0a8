import { mkdtempDisposable, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeFolder } from './make-folder.ts';

const cannot = (why: string) => ({ code: 'HG2003', message: expect.stringContaining(why) as string });

test('a data folder is private, may be there, and says why it cannot be', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'headgate-folder-'));
  const folder = join(root.path, 'a', 'b');
  await makeFolder(folder);
  await makeFolder(folder);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  const file = join(root.path, 'file');
  await writeFile(file, '');
  await expect(makeFolder(file)).rejects.toMatchObject(cannot('a file of that name is there'));
  await expect(makeFolder(join(file, 'below'))).rejects.toMatchObject(cannot('a part of the path is a file'));
});
