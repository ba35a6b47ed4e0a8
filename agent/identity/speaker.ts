import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { HeadgateError } from '../../lib/errors.ts';
import { readPrivateFile, writePrivateFile } from '../../lib/identity/private-file.ts';
import type { Log } from '../../lib/log.ts';
import type { Speaker } from '../../lib/sync/index.ts';

/**
 * This process as its cluster's speaker: the count rises by one with every start, durably, so that the newest
 * process over a data folder wins. To be called once per process start.
 *
 * @param folder the agent's data folder. Where it cannot be written the count is this process's alone: on a tie the
 * incumbent stays, so that an agent that starts on a full disk speaks once the one before has gone.
 */
export async function openSpeaker(folder: string, log: Log): Promise<Speaker> {
  const file = join(folder, 'identity', 'starts');
  const text = (await readPrivateFile(file)) ?? '0';
  if (!/^\d{1,18}\n?$/.test(text)) {
    throw new HeadgateError('HG2003', `'${file}' holds no count of starts`, {
      remedy: 'write a number into it that is higher than any before',
    });
  }
  const count = BigInt(text.trim()) + 1n;
  try {
    await writePrivateFile(file, `${count}\n`);
  } catch (error) {
    log.warn('the count of starts cannot be kept', { error });
  }
  return { count, instance: randomUUID() };
}
