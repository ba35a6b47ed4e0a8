import type { Clock } from './clock.ts';

/** For tests: time that passes only when `advance` is called, and seeded randomness. */
export class VirtualClock implements Clock {
  #now = 0;
  #seed: number;
  #timers: { readonly at: number; readonly wake: () => void }[] = [];

  constructor(seed = 1) {
    this.#seed = seed;
  }

  wall(): number {
    return Date.UTC(2026, 0, 1) + this.#now;
  }

  now(): number {
    return this.#now;
  }

  /** Sleeps that go on. */
  get sleepers(): number {
    return this.#timers.length;
  }

  /** Mulberry32. */
  random(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(new Error('aborted', { cause: signal.reason }));
      const timer = {
        at: this.#now + ms,
        wake: () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      const abort = (): void => {
        this.#timers = this.#timers.filter((other) => other !== timer);
        reject(new Error('aborted', { cause: signal?.reason }));
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#timers.push(timer);
    });
  }

  /** Time passes and nothing runs, as when a process is stopped. */
  hang(ms: number): void {
    this.#now += ms;
  }

  /** Lets everything that is ready run, then moves on to the next timer and again, for `ms` or until `done`. */
  async advance(ms: number, done: () => boolean = () => false): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      if (done()) return;
      const at = this.#timers.reduce((first, timer) => Math.min(first, timer.at), Infinity);
      if (at > end) break;
      this.#now = Math.max(this.#now, at);
      const due = this.#timers.filter((timer) => timer.at <= at);
      this.#timers = this.#timers.filter((timer) => timer.at > at);
      for (const timer of due) timer.wake();
    }
    this.#now = end;
  }
}
