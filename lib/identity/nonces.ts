import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../clock.ts';

/** Milliseconds. */
const lifetime = 60_000;
const randomLength = 16;
const macLength = 32;

/**
 * Nonces for renewals. They carry their own proof, so callers who only ask cost no memory: time (8 bytes),
 * random (16), HMAC over both and the connection (32). Only used ones are remembered, until they expire.
 */
export class Nonces {
  readonly #key = randomBytes(32);
  readonly #clock: Clock;
  /** Used nonces, base64, by when they may be forgotten; oldest first. */
  readonly #used = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param connection names the caller's connection, the same for all of its calls and no other's. */
  issue(connection: string): Buffer {
    const head = Buffer.alloc(8 + randomLength);
    head.writeDoubleBE(this.#clock.now());
    randomBytes(randomLength).copy(head, 8);
    return Buffer.concat([head, this.#mac(head, connection)]);
  }

  /** Whether the nonce is ours, of this connection and fresh. */
  isFresh(nonce: Uint8Array, connection: string): boolean {
    if (nonce.length !== 8 + randomLength + macLength) return false;
    const bytes = Buffer.from(nonce);
    const head = bytes.subarray(0, 8 + randomLength);
    if (!timingSafeEqual(this.#mac(head, connection), bytes.subarray(head.length))) return false;
    return this.#clock.now() - head.readDoubleBE(0) <= lifetime && !this.#used.has(bytes.toString('base64'));
  }

  /** Uses a nonce up; false when it was used before. Called only for callers who have proved themselves. */
  use(nonce: Uint8Array): boolean {
    const now = this.#clock.now();
    for (const [key, forget] of this.#used) {
      if (forget > now) break;
      this.#used.delete(key);
    }
    const key = Buffer.from(nonce).toString('base64');
    if (this.#used.has(key)) return false;
    this.#used.set(key, now + lifetime);
    return true;
  }

  #mac(head: Uint8Array, connection: string): Buffer {
    return createHmac('sha256', this.#key).update(head).update(connection).digest();
  }
}
