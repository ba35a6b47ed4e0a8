/**
 * Numbered places given out by name. A name gets the place it had before where that is known and free; other
 * names get the lowest place that nobody is known to want.
 */
export class Pool {
  readonly #owners: (string | undefined)[];
  readonly #places = new Map<string, number>();
  #hints: Map<string, number>;
  #hinted: Set<number>;
  #lowest = 0;

  constructor(size: number, hints: ReadonlyMap<string, number>) {
    this.#owners = Array.from({ length: size }, () => undefined);
    this.#hints = new Map([...hints].filter(([, place]) => place < size));
    this.#hinted = new Set(this.#hints.values());
  }

  get size(): number {
    return this.#owners.length;
  }

  get free(): number {
    return this.#owners.length - this.#places.size;
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
    if (hint !== undefined && this.#owners[hint] === undefined) return this.#give(name, hint);
    while (this.#lowest < this.#owners.length && this.#owners[this.#lowest] !== undefined) this.#lowest++;
    for (let place = this.#lowest; place < this.#owners.length; place++) {
      if (this.#owners[place] === undefined && !this.#hinted.has(place)) return this.#give(name, place);
    }
    return undefined;
  }

  release(name: string): number | undefined {
    const place = this.#places.get(name);
    if (place === undefined) return undefined;
    this.#places.delete(name);
    this.#owners[place] = undefined;
    this.#lowest = Math.min(this.#lowest, place);
    return place;
  }

  grow(count: number): void {
    for (let i = 0; i < count; i++) this.#owners.push(undefined);
  }

  /** Whoever has not come for the place it had before has lost it. */
  dropHints(): void {
    this.#hints = new Map();
    this.#hinted = new Set();
  }

  #give(name: string, place: number): number {
    this.#owners[place] = name;
    this.#places.set(name, place);
    return place;
  }
}
