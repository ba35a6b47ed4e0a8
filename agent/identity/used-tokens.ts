import { hash } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { csrKeysHash } from '../../lib/identity/authority.ts';

/** Milliseconds; longer than a projected token may live, so that none outlives its memory. */
const KEPT_MS = 86_400_000;

/**
 * Binds a ServiceAccount token to the keys that it was first used for: who reads it off a node later can do nothing
 * with it here. Forgotten with the process; each replica has its own.
 */
export class UsedTokens {
  readonly #clock: Clock;
  /** By digest of what is signed of a token; oldest first. */
  readonly #used = new Map<string, { readonly keysHash: string; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * To be called for tokens that have proved themselves, so that nobody else fills the memory.
   *
   * @throws HG2004 when it was used for other keys, HG2005 for a bad CSR
   */
  async bind(token: string, csrs: readonly Uint8Array[]): Promise<void> {
    const keysHash = await csrKeysHash(csrs);
    const now = this.#clock.now();
    for (const [key, { until }] of this.#used) {
      if (until > now) break;
      this.#used.delete(key);
    }
    // A signature could be written in another way.
    const key = hash('sha256', token.slice(0, token.lastIndexOf('.')), 'base64url');
    const first = this.#used.get(key);
    if (first === undefined) this.#used.set(key, { keysHash, until: now + KEPT_MS });
    else if (first.keysHash !== keysHash) {
      throw new HeadgateError('HG2004', 'the ServiceAccount token was used already, for other keys');
    }
  }
}
