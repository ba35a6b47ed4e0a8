import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Epoch } from '../../lib/sync/index.ts';
import { openStore, type StoreChoice } from './open-store.ts';
import type { Operation } from './store.ts';

export interface BeginEpochOptions {
  /** An embedded one's hub must not run. */
  readonly store: StoreChoice;
  readonly clock: Clock;
  readonly log: Log;
  /** Writes the audit record of the change. */
  readonly record: (epoch: Epoch) => Operation;
}

/**
 * Begins a new epoch after a backup was put back. Agents refuse a history that lies behind what they hold; one
 * with a higher epoch they take, and hold to from then on.
 *
 * @throws HeadgateError HG2003 where there is no store, or a hub has it; HG4003 where it is damaged; as openStore does
 */
export async function beginEpoch({ store: choice, clock, log, record }: BeginEpochOptions): Promise<Epoch> {
  if (choice.kind === 'embedded' && !existsSync(join(choice.folder, 'store.db'))) {
    throw new HeadgateError('HG2003', `there is no store in '${choice.folder}'`, {
      remedy: 'give --data the data folder of a hub',
    });
  }
  await using store = await openStore(choice, { clock, log });
  const epoch = await store.renewEpoch();
  await store.transact({ operations: [record(epoch)] });
  return epoch;
}
