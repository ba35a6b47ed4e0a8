import type { Clock } from '../../lib/clock.ts';

/** Lets each key go at once and then not for a while; what comes of it meanwhile goes after that, as one. */
export class Pace {
  readonly #everyMs: number;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #go: (key: string) => void;
  /** Keys that went lately, and whether they have come again since. */
  readonly #resting = new Map<string, boolean>();

  /** @param signal after it nothing goes that has to wait */
  constructor(everyMs: number, clock: Clock, signal: AbortSignal, go: (key: string) => void) {
    this.#everyMs = everyMs;
    this.#clock = clock;
    this.#signal = signal;
    this.#go = go;
  }

  come(key: string): void {
    if (this.#resting.has(key)) {
      this.#resting.set(key, true);
      return;
    }
    this.#resting.set(key, false);
    this.#go(key);
    void this.#rest(key);
  }

  async #rest(key: string): Promise<void> {
    try {
      await this.#clock.sleep(this.#everyMs, this.#signal);
    } catch {
      return; // ended
    }
    const again = this.#resting.get(key) === true;
    this.#resting.delete(key);
    if (again) this.come(key);
  }
}
