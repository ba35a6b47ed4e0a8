import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { HeadgateError } from '../../lib/errors.ts';
import { readPrivateFile, writePrivateFile } from '../../lib/identity/private-file.ts';
import type { Speaker } from '../../lib/sync/index.ts';

/**
 * This process as its cluster's speaker: the count rises by one with every start, durably, so that the newest
 * process over a data folder wins. To be called once per process start.
 *
 * @param folder the agent's data folder.
 */
export async function openSpeaker(folder: string): Promise<Speaker> {
  const file = join(folder, 'identity', 'starts');
  const text = (await readPrivateFile(file)) ?? '0';
  if (!/^\d{1,18}\n?$/.test(text)) {
    throw new HeadgateError('HG2003', `'${file}' holds no count of starts`, {
      remedy: 'write a number into it that is higher than any before',
    });
  }
  const count = BigInt(text.trim()) + 1n;
  await writePrivateFile(file, `${count}\n`);
  return { count, instance: randomUUID() };
}
