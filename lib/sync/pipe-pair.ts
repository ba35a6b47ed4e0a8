import { HeadgateError } from '../errors.ts';
import { FrameQueue } from './frame-queue.ts';
import { pipeHighWater, type Pipe } from './pipe.ts';

/**
 * Two joined pipes in memory, for both roles in one process. What one end sends the other reads; no frame is
 * copied. Closing with an error breaks the other end at once, with that error.
 */
export function pipePair<A, B>(): [Pipe<A, B>, Pipe<B, A>] {
  const left = new End<A, B>();
  const right = new End<B, A>();
  left.join(right);
  right.join(left);
  return [left, right];
}

class End<Out, In> implements Pipe<Out, In> {
  readonly #incoming = new FrameQueue<In>(() => this.#other?.drained());
  #other: End<In, Out> | undefined;
  #waiting: (() => void)[] = [];

  join(other: End<In, Out>): void {
    this.#other = other;
  }

  get frames(): AsyncIterable<In> {
    return this.#incoming;
  }

  get pending(): number {
    return this.#other?.queued ?? 0;
  }

  get queued(): number {
    return this.#incoming.length;
  }

  send(frame: Out): void {
    if (!this.#incoming.ended) this.#other?.deliver(frame);
  }

  async writable(): Promise<void> {
    while (this.pending >= pipeHighWater && !this.#incoming.ended) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  close(error?: Error): void {
    if (!this.#incoming.ended) this.#other?.ended(error === undefined ? undefined : HeadgateError.from(error));
    this.#incoming.stop();
    this.drained();
  }

  deliver(frame: In): void {
    this.#incoming.push(frame);
  }

  ended(error: HeadgateError | undefined): void {
    if (error === undefined) this.#incoming.end();
    else this.#incoming.break(error);
    this.drained();
  }

  drained(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
