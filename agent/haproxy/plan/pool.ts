/**
 * Places given out by name. A name gets the place it had before where that is known and free; other names get the
 * lowest place that nobody is known to want.
 */
export class Pool {
  /** Ascending. */
  #all: number[] = [];
  readonly #owners = new Map<number, string>();
  readonly #places = new Map<string, number>();
  #hints: Map<string, number>;
  #hinted: Set<number>;
  /** Index in #all of the first place that may be free. */
  #lowest = 0;

  /** @param hints places that are not in the pool are ignored. */
  constructor(places: Iterable<number>, hints: ReadonlyMap<string, number>) {
    this.add(places);
    const own = new Set(this.#all);
    this.#hints = new Map([...hints].filter(([, place]) => own.has(place)));
    this.#hinted = new Set(this.#hints.values());
  }

  get size(): number {
    return this.#all.length;
  }

  get free(): number {
    return this.#all.length - this.#places.size;
  }

  /** Nobody has a place here, or is known to want one. */
  get unused(): boolean {
    return this.#places.size === 0 && this.#hints.size === 0;
  }

  get places(): ReadonlyMap<string, number> {
    return this.#places;
  }

  placeOf(name: string): number | undefined {
    return this.#places.get(name);
  }

  /** @returns undefined when the pool is dry. */
  take(name: string): number | undefined {
    const hint = this.#hints.get(name);
    if (hint !== undefined && !this.#owners.has(hint)) return this.#give(name, hint);
    for (;;) {
      const place = this.#all[this.#lowest];
      if (place === undefined || !this.#owners.has(place)) break;
      this.#lowest++;
    }
    for (let i = this.#lowest; i < this.#all.length; i++) {
      const place = this.#all[i];
      if (place !== undefined && !this.#owners.has(place) && !this.#hinted.has(place)) return this.#give(name, place);
    }
    return undefined;
  }

  release(name: string): number | undefined {
    const place = this.#places.get(name);
    if (place === undefined) return undefined;
    this.#places.delete(name);
    this.#owners.delete(place);
    this.#lowest = 0;
    return place;
  }

  add(places: Iterable<number>): void {
    this.#all = [...this.#all, ...places].sort((a, b) => a - b);
    this.#lowest = 0;
  }

  /** Gives up every place of an unused pool. */
  dissolve(): readonly number[] {
    const all = this.#all;
    this.#all = [];
    this.#lowest = 0;
    return all;
  }

  /** Whoever has not come for the place it had before has lost it. */
  dropHints(): void {
    this.#hints = new Map();
    this.#hinted = new Set();
  }

  #give(name: string, place: number): number {
    this.#owners.set(place, name);
    this.#places.set(name, place);
    return place;
  }
}
