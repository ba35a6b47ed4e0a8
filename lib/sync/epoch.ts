import { HeadgateError } from '../errors.ts';
import type { Epoch } from './resource.ts';

/** Where in which history a copy stands. */
export interface Position {
  readonly epoch: Epoch;
  readonly revision: bigint;
}

/**
 * Never backwards: the other end's history may be the same and further on, or newer by its counter.
 *
 * @throws HeadgateError HG3003
 */
export function refuseBackwards(held: Position | undefined, offered: Position): void {
  if (held === undefined || offered.epoch.counter > held.epoch.counter) return;
  const reason =
    offered.epoch.counter < held.epoch.counter
      ? `its epoch ${offered.epoch.counter} lies behind ${held.epoch.counter}`
      : offered.epoch.id !== held.epoch.id
        ? `its history is another one than ours at epoch ${held.epoch.counter}`
        : offered.revision < held.revision
          ? `its revision ${offered.revision} lies behind ${held.revision}`
          : undefined;
  if (reason !== undefined) {
    throw new HeadgateError('HG3003', `the sender is refused: ${reason}`, {
      remedy: 'if the store was restored on purpose, raise its epoch with headgate store epoch --new',
    });
  }
}
