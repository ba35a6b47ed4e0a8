import type { Clock } from '../clock.ts';
import { HeadgateError } from '../errors.ts';

export interface StreamWatchOptions {
  readonly clock: Clock;
  /** Milliseconds between heartbeats; three missed end the stream. */
  readonly heartbeatMs: number;
  /** Milliseconds that a deadline gives. */
  readonly deadlineMs: number;
  readonly beat: () => void;
  readonly fail: (error: HeadgateError) => void;
}

/**
 * The watchdog of one stream: sends heartbeats, sees that the other end's are missing, and holds the one
 * deadline that can be running.
 */
export class StreamWatch {
  readonly #options: StreamWatchOptions;
  #heard: number;
  /** True while our own end is busy and reads nothing: silence says nothing then. */
  #busy = false;
  #deadline: { readonly at: number; readonly what: string } | undefined;

  constructor(options: StreamWatchOptions) {
    this.#options = options;
    this.#heard = options.clock.now();
  }

  /** A frame of any kind came. */
  heard(): void {
    this.#heard = this.#options.clock.now();
  }

  async whileBusy<T>(work: () => Promise<T>): Promise<T> {
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#busy = false;
      this.heard();
    }
  }

  /** Starts the deadline anew. */
  expect(what: string): void {
    this.#deadline = { at: this.#options.clock.now() + this.#options.deadlineMs, what };
  }

  met(): void {
    this.#deadline = undefined;
  }

  /** Runs until the signal; a late deadline is seen within a tenth of it. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, heartbeatMs, deadlineMs, beat, fail } = this.#options;
    const tick = Math.min(heartbeatMs, deadlineMs / 10);
    let nextBeat = clock.now() + heartbeatMs;
    while (!signal.aborted) {
      try {
        await clock.sleep(tick, signal);
      } catch {
        return; // aborted
      }
      const now = clock.now();
      if (now >= nextBeat) {
        beat();
        nextBeat = now + heartbeatMs;
      }
      if (this.#deadline !== undefined && now >= this.#deadline.at) {
        fail(new HeadgateError('HG3005', `${this.#deadline.what} took longer than ${deadlineMs} ms`));
        return;
      }
      if (!this.#busy && now - this.#heard >= 3 * heartbeatMs) {
        fail(
          new HeadgateError('HG3001', `nothing was heard from the other end for ${Math.round(now - this.#heard)} ms`),
        );
        return;
      }
    }
  }
}
