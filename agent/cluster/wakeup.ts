import type { Clock } from '../../lib/clock.ts';

/** Waits for a call of `wake`, or for a time; a call between two waits is not lost. */
export class Wakeup {
  readonly #clock: Clock;
  #woken = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  /** @param ms at most so long. Resolves at once when aborted. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#woken && !signal.aborted && ms > 0) {
      const stop = new AbortController();
      this.#wake = () => stop.abort();
      try {
        await this.#clock.sleep(ms, AbortSignal.any([signal, stop.signal]));
      } catch (thrown) {
        if (!stop.signal.aborted && !signal.aborted) throw thrown;
      }
      this.#wake = undefined;
    }
    this.#woken = false;
  }
}
