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
 * deadline that can be running. It counts only time in which this process ran: while it hung, whatever the
 * other end sent lies unread, and a hub that paused must not lose its whole fleet for it.
 */
export class StreamWatch {
  readonly #options: StreamWatchOptions;
  readonly #tick: number;
  /** Milliseconds counted, as of the last tick. */
  #counted = 0;
  #heard = 0;
  /** True while our own end is busy and reads nothing: silence says nothing then. */
  #busy = false;
  #deadline: { readonly at: number; readonly what: string } | undefined;

  constructor(options: StreamWatchOptions) {
    this.#options = options;
    this.#tick = Math.min(options.heartbeatMs, options.deadlineMs / 10);
  }

  /** A frame of any kind came. */
  heard(): void {
    this.#heard = this.#counted;
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
    // The tick under way may be nearly over.
    this.#deadline = { at: this.#counted + this.#tick + this.#options.deadlineMs, what };
  }

  met(): void {
    this.#deadline = undefined;
  }

  /** Runs until the signal; a late deadline is seen within a fifth of it. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, heartbeatMs, deadlineMs, beat, fail } = this.#options;
    let last = clock.now();
    let nextBeat = last + heartbeatMs;
    while (!signal.aborted) {
      try {
        await clock.sleep(this.#tick, signal);
      } catch {
        return; // aborted
      }
      const now = clock.now();
      this.#counted += Math.min(now - last, 2 * this.#tick);
      last = now;
      if (now >= nextBeat) {
        beat();
        nextBeat = now + heartbeatMs;
      }
      if (this.#deadline !== undefined && this.#counted >= this.#deadline.at) {
        fail(new HeadgateError('HG3005', `${this.#deadline.what} took longer than ${deadlineMs} ms`));
        return;
      }
      const silence = this.#counted - this.#heard;
      if (!this.#busy && silence >= 3 * heartbeatMs) {
        fail(new HeadgateError('HG3001', `nothing was heard from the other end for ${Math.round(silence)} ms`));
        return;
      }
    }
  }
}
