import type { Clock } from '../../../../lib/clock.ts';
import { Wakeup } from '../../wakeup.ts';

/** Keys that are to be looked at, each at its own time; what comes of one meanwhile is looked at once. */
export class DueKeys {
  readonly #clock: Clock;
  readonly #wakeup: Wakeup;
  readonly #due = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#wakeup = new Wakeup(clock);
  }

  /** At the earlier of this time and the one it already has. */
  add(key: string, inMs: number): void {
    const at = this.#clock.now() + inMs;
    const known = this.#due.get(key);
    if (known !== undefined && known <= at) return;
    this.#due.set(key, at);
    this.#wakeup.wake();
  }

  /** Waits until some are due. @returns at most so many; none when aborted. */
  async take(most: number, signal: AbortSignal): Promise<readonly string[]> {
    while (!signal.aborted) {
      const now = this.#clock.now();
      let soonest = Number.POSITIVE_INFINITY;
      const taken: string[] = [];
      for (const [key, at] of this.#due) {
        if (at > now) soonest = Math.min(soonest, at);
        else if (taken.length < most) taken.push(key);
      }
      if (taken.length > 0) {
        for (const key of taken) this.#due.delete(key);
        return taken;
      }
      await this.#wakeup.wait(Math.min(soonest - now, LONGEST_MS), signal);
    }
    return [];
  }
}

/** The longest wait of a timer that nothing needs, milliseconds. */
const LONGEST_MS = 3_600_000;
