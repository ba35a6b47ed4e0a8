import type { Pipe } from './pipe.ts';

/** Drives one end of a pipe by hand. */
export class HandEnd<Out extends { readonly frame: unknown }, In extends { readonly frame: unknown }> {
  readonly pipe: Pipe<Out, In>;
  readonly #frames: AsyncIterator<In>;

  constructor(pipe: Pipe<Out, In>) {
    this.pipe = pipe;
    this.#frames = pipe.frames[Symbol.asyncIterator]();
  }

  send(frame: NonNullable<Out['frame']>): void {
    this.pipe.send({ frame } as Out);
  }

  /** The next frame; throws what the pipe broke with, or that it ended. */
  async next(): Promise<NonNullable<In['frame']>> {
    const { done, value } = await this.#frames.next();
    if (done === true || value.frame === null || value.frame === undefined) throw new Error('the pipe ended in order');
    return value.frame;
  }
}
