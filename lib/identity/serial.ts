import { randomBytes } from 'node:crypto';
import type { Epoch } from '../sync/index.ts';

/** A point in the store's history. */
export interface Moment {
  readonly epoch: Pick<Epoch, 'counter'>;
  readonly revision: bigint;
}

/** First byte of our serials: marks the layout, and keeps the DER integer positive and of fixed length. */
const marker = '48';

/**
 * A certificate's serial, hex, 20 bytes: marker, epoch counter (4), store revision (8), random (7). It says
 * when in the store's history the certificate was issued, so a cluster that was removed and added again gets
 * certificates that the earlier revocation does not cover, without trusting a clock.
 */
export function serialAt(moment: Moment): string {
  const counter = BigInt.asUintN(32, moment.epoch.counter).toString(16).padStart(8, '0');
  const revision = BigInt.asUintN(64, moment.revision).toString(16).padStart(16, '0');
  return marker + counter + revision + randomBytes(7).toString('hex');
}

/** When a certificate was issued; undefined for a serial that is not ours. */
export function momentOf(serial: string): Moment | undefined {
  const match = /^48([0-9a-f]{8})([0-9a-f]{16})[0-9a-f]{14}$/.exec(serial.toLowerCase());
  if (match === null) return undefined;
  return { epoch: { counter: BigInt(`0x${match[1]}`) }, revision: BigInt(`0x${match[2]}`) };
}

/** True when `one` came before `other`. */
export function isBefore(one: Moment, other: Moment): boolean {
  if (one.epoch.counter !== other.epoch.counter) return one.epoch.counter < other.epoch.counter;
  return one.revision < other.revision;
}
