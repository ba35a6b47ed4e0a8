import type { Entry } from '../store/store.ts';

export interface Shown {
  readonly entry: Entry;
  /** Set where the entry is one that a guard holds. */
  readonly guard: string | undefined;
}

/**
 * Which of two entries stands for a resource: the report where there is one, otherwise what a guard holds.
 * Keys are `<cluster>/<type>/<name>`.
 */
export class HeldReports {
  readonly #reported = new Set<string>();
  readonly #held = new Map<string, Shown>();

  /** A report came (entry) or went. */
  report(key: string, entry: Entry | undefined): Shown | undefined {
    if (entry !== undefined) {
      this.#reported.add(key);
      return { entry, guard: undefined };
    }
    this.#reported.delete(key);
    return this.#held.get(key);
  }

  /** A guard took hold of a removal (entry) or let go. */
  held(guard: string, key: string, entry: Entry | undefined): Shown | undefined | 'unchanged' {
    if (entry !== undefined) this.#held.set(key, { entry, guard });
    else if (this.#held.get(key)?.guard === guard) this.#held.delete(key);
    return this.#reported.has(key) ? 'unchanged' : this.#held.get(key);
  }
}
