import type { PromiseName } from './promises.ts';

/**
 * Breaks the thing that one promise is about, so that a test can show that its line, and only its line, then
 * fails. Without a name it breaks nothing.
 */
export class Sabotage {
  readonly #promise: PromiseName | undefined;

  constructor(promise: PromiseName | undefined) {
    this.#promise = promise;
  }

  is(promise: PromiseName): boolean {
    return this.#promise === promise;
  }

  /** Runs `action`, which breaks or mends something, only where `promise` is the one to sabotage. */
  async when(promise: PromiseName, action: () => Promise<unknown>): Promise<void> {
    if (this.is(promise)) await action();
  }
}
