import type { HeadgateError } from '../errors.ts';
import type { Epoch, Inventory, ResourceDelta } from './resource.ts';

/** The protocol version this code speaks; N and N±1 interoperate. */
export const PROTOCOL_VERSION = 1;

export interface Speaker {
  readonly count: bigint;
  readonly instance: string;
}

/** What a sender reads from. The owner changes the inventory, then tells every sender which keys changed. */
export interface SenderSource {
  readonly inventory: Pick<Inventory, 'get' | 'types' | 'ofType' | 'typeDigest'>;
  epoch(): Epoch;
  revision(): bigint;
}

export interface AcceptedDelta extends ResourceDelta {
  readonly epoch: Epoch;
  readonly revision: bigint;
  /** True on the first delta of a stream, even when it is empty: the copy is now complete. */
  readonly endOfSnapshot: boolean;
}

export interface Refusal {
  readonly type: string;
  readonly name: string;
  readonly digest: string;
  readonly error: HeadgateError;
}

/**
 * Where a receiver puts what it gets. One object per durable copy, shared by the streams that follow each
 * other: a new stream waits until its predecessor's last accept has settled.
 */
export interface ReceiverSink {
  readonly inventory: Pick<Inventory, 'get' | 'types' | 'ofType' | 'typeDigest'>;
  /** Epoch and revision held; `undefined` before the first delta ever. */
  held(): { readonly epoch: Epoch; readonly revision: bigint } | undefined;
  /**
   * Stores a delta durably; resolves when it would survive kill -9. Resources that cannot be decoded are
   * refused by name and not stored; the rest stands.
   */
  accept(delta: AcceptedDelta): Promise<readonly Refusal[]>;
}
