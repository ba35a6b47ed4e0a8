import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Epoch } from '../../lib/sync/index.ts';
import { openEmbeddedStore } from './embedded.ts';
import type { Operation } from './store.ts';

export interface BeginEpochOptions {
  /** Data folder of a hub that does not run. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Writes the audit record of the change. */
  readonly record: (epoch: Epoch) => Operation;
}

/**
 * Begins a new epoch after a backup was put back. Agents refuse a history that lies behind what they hold; one
 * with a higher epoch they take, and hold to from then on.
 *
 * @throws HeadgateError HG2003 where there is no store, or a hub has it; HG4003 where it is damaged
 */
export async function beginEpoch({ folder, clock, log, record }: BeginEpochOptions): Promise<Epoch> {
  if (!existsSync(join(folder, 'store.db'))) {
    throw new HeadgateError('HG2003', `there is no store in '${folder}'`, {
      remedy: 'give --data the data folder of a hub',
    });
  }
  await using store = await openEmbeddedStore({ folder, clock, log });
  const epoch = await store.renewEpoch();
  await store.transact({ operations: [record(epoch)] });
  return epoch;
}
