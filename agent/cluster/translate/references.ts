const NONE: ReadonlySet<string> = new Set();

/** Which object names which others, readable from both ends. */
export class References {
  readonly #to = new Map<string, ReadonlySet<string>>();
  readonly #from = new Map<string, Set<string>>();

  /** What `source` names. */
  to(source: string): ReadonlySet<string> {
    return this.#to.get(source) ?? NONE;
  }

  /** Who names `target`. */
  from(target: string): ReadonlySet<string> {
    return this.#from.get(target) ?? NONE;
  }

  /** Everything that is named. */
  targets(): Iterable<string> {
    return this.#from.keys();
  }

  /** Whether anybody names `target`. */
  has(target: string): boolean {
    return this.#from.has(target);
  }

  /**
   * Replaces what `source` names.
   * @returns targets that are named for the first time, or no longer by anybody.
   */
  set(source: string, targets: Iterable<string>): readonly string[] {
    const next = new Set(targets);
    const before = this.to(source);
    const changed: string[] = [];
    for (const target of next) {
      if (before.has(target)) continue;
      const sources = this.#from.get(target);
      if (sources !== undefined) sources.add(source);
      else {
        this.#from.set(target, new Set([source]));
        changed.push(target);
      }
    }
    for (const target of before) {
      if (next.has(target)) continue;
      const sources = this.#from.get(target);
      sources?.delete(source);
      if (sources?.size === 0) {
        this.#from.delete(target);
        changed.push(target);
      }
    }
    if (next.size === 0) this.#to.delete(source);
    else this.#to.set(source, next);
    return changed;
  }
}
