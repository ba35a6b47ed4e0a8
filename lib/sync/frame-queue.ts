import type { HeadgateError } from '../errors.ts';

/** Frames that wait for one reader, and how their stream ends. */
export class FrameQueue<T> implements AsyncIterable<T> {
  #items: T[] = [];
  #head = 0;
  #ended: { readonly error: HeadgateError | undefined } | undefined;
  #wake: (() => void) | undefined;
  readonly #taken: () => void;

  /** @param taken called after the reader took a frame, and at the end: there is room again. */
  constructor(taken: () => void = () => undefined) {
    this.#taken = taken;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  push(item: T): void {
    if (this.#ended !== undefined) return;
    this.#items.push(item);
    this.#stir();
  }

  /** No more frames come; what waits is still read. The first call counts. */
  end(): void {
    if (this.#ended !== undefined) return;
    this.#ended = { error: undefined };
    this.#stir();
    this.#taken();
  }

  /** Ends at once with `error`; what waits is forgotten. After an end it does nothing. */
  break(error: HeadgateError): void {
    if (this.#ended !== undefined) return;
    this.#ended = { error };
    this.#drop();
  }

  /** Ends at once and in order, because the reader's own side has closed. */
  stop(): void {
    this.#ended ??= { error: undefined };
    this.#drop();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const item = this.#items[this.#head];
      if (this.#head < this.#items.length) {
        this.#items[this.#head] = undefined as T;
        this.#head++;
        if (this.#head === this.#items.length) {
          this.#items = [];
          this.#head = 0;
        }
        this.#taken();
        yield item as T;
      } else if (this.#ended !== undefined) {
        if (this.#ended.error !== undefined) throw this.#ended.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #drop(): void {
    this.#items = [];
    this.#head = 0;
    this.#stir();
    this.#taken();
  }

  #stir(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
