import type { SecretFault } from './missing.ts';

/** What is known of Secrets beside their content: `unknown` where nobody has looked since they were named. */
export class SecretSightings {
  readonly #onDemand: boolean;
  readonly #looked = new Set<string>();
  readonly #unreadable = new Map<string, SecretFault>();

  /** @param onDemand they are looked for only once something names them; otherwise all are known. */
  constructor(onDemand: boolean) {
    this.#onDemand = onDemand;
  }

  /** Presence or absence of a Secret was seen. */
  seen(secret: string): void {
    if (this.#onDemand) this.#looked.add(secret);
  }

  forget(secret: string): void {
    this.#looked.delete(secret);
  }

  /** @param fault undefined once it can be read. */
  setUnreadable(secret: string, fault: SecretFault | undefined): void {
    if (fault === undefined) this.#unreadable.delete(secret);
    else this.#unreadable.set(secret, fault);
  }

  stateOf(secret: string): SecretFault | 'unknown' | 'known' {
    const isKnown = !this.#onDemand || this.#looked.has(secret);
    return this.#unreadable.get(secret) ?? (isKnown ? 'known' : 'unknown');
  }
}
