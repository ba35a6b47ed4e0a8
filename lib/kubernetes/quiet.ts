import type { Clock } from '../clock.ts';
import { HeadgateError } from '../errors.ts';

/** Aborts when nothing was heard for a while. */
export class Quiet implements Disposable {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #late = new AbortController();
  readonly #done = new AbortController();
  #heard: number;

  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = ms;
    this.#heard = clock.now();
    void this.#keep();
  }

  get signal(): AbortSignal {
    return this.#late.signal;
  }

  heard(): void {
    this.#heard = this.#clock.now();
  }

  [Symbol.dispose](): void {
    this.#done.abort();
  }

  async #keep(): Promise<void> {
    for (let left = this.#ms; left > 0; left = this.#heard + this.#ms - this.#clock.now()) {
      try {
        await this.#clock.sleep(left, this.#done.signal);
      } catch {
        return; // done
      }
    }
    const remedy = 'nothing, if it passes: it is tried again; otherwise look at the API server';
    this.#late.abort(new HeadgateError('HG3005', `the API server said nothing for ${this.#ms / 1_000} s`, { remedy }));
  }
}
