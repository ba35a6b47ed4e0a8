import { mkdtempDisposable, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { KeyEncryptionKey } from './seal.ts';

test('a sealed value opens in its place, with its key, undamaged, and not otherwise', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'headgate-seal-'));
  const file = join(folder.path, 'data', 'kek');
  const [kek, same] = await Promise.all([KeyEncryptionKey.readOrCreate(file), KeyEncryptionKey.readOrCreate(file)]);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const secret = Buffer.from('a private key');
  const sealed = kek.seal(secret, 'authority/control');
  expect(sealed.includes(secret)).toBe(false);
  expect(same.unseal(sealed, 'authority/control')).toEqual(secret);
  expect(kek.seal(secret, 'authority/control')).not.toEqual(sealed);

  expect(() => kek.unseal(sealed, 'authority/gateway')).toThrow('seal is broken');
  for (const at of [0, 5, 20, 80, sealed.length - 1]) {
    const damaged = Buffer.from(sealed);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    expect(() => kek.unseal(damaged, 'authority/control')).toThrow(expect.objectContaining({ code: 'HG4003' }));
  }
  expect(() => kek.unseal(sealed.subarray(0, 30), 'authority/control')).toThrow(
    expect.objectContaining({ code: 'HG4003' }),
  );
  const other = await KeyEncryptionKey.readOrCreate(join(folder.path, 'other'));
  expect(() => other.unseal(sealed, 'authority/control')).toThrow('another key-encryption key');
});

test('a missing or malformed key file is one clear error', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'headgate-seal-'));
  const file = join(folder.path, 'kek');
  await expect(KeyEncryptionKey.read(file)).rejects.toMatchObject({ code: 'HG2003' });
  await writeFile(file, 'too short');
  await expect(KeyEncryptionKey.read(file)).rejects.toMatchObject({ code: 'HG2003' });
});
