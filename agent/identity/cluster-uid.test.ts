import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { directoryClusterUid } from './cluster-uid.ts';

test('a folder keeps the UID of its cluster', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'headgate-identity-'));
  const uid = await directoryClusterUid(folder.path);
  expect(await directoryClusterUid(folder.path)).toBe(uid);
  await writeFile(join(folder.path, 'identity', 'cluster-uid'), '');
  await expect(directoryClusterUid(folder.path)).rejects.toMatchObject({ code: 'HG2003' });
});
