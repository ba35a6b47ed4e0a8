import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { silentLog } from '../../lib/log.ts';
import { openSpeaker } from './speaker.ts';

test('starts are counted, durably', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'headgate-identity-'));
  const [first, second] = [await openSpeaker(folder.path, silentLog), await openSpeaker(folder.path, silentLog)];
  expect([first.count, second.count]).toEqual([1n, 2n]);
  expect(first.instance).not.toBe(second.instance);
  await writeFile(join(folder.path, 'identity', 'starts'), 'many');
  await expect(openSpeaker(folder.path, silentLog)).rejects.toMatchObject({ code: 'HG2003' });
});
