/** Entries per shard that a map grows to keep, on average. */
const FILL = 32;
/** More shards would cost more to copy than they save. */
const MAX_SHARDS = 2_048;

/**
 * An immutable map of two levels. A changed copy shares every shard that the change does not touch, so it
 * costs about √n, not n. Iteration is in no particular order: sort where order matters.
 */
export class ShardedMap<V> implements ReadonlyMap<string, V> {
  readonly #shards: readonly ReadonlyMap<string, V>[];
  readonly size: number;

  private constructor(shards: readonly ReadonlyMap<string, V>[], size: number) {
    this.#shards = shards;
    this.size = size;
  }

  static empty<V>(): ShardedMap<V> {
    return new ShardedMap<V>([new Map()], 0);
  }

  static of<V>(entries: Iterable<readonly [string, V]>): ShardedMap<V> {
    const draft = ShardedMap.empty<V>().edit();
    for (const [key, value] of entries) draft.set(key, value);
    return draft.done();
  }

  get(key: string): V | undefined {
    return this.#shards[shardOf(key, this.#shards.length)]?.get(key);
  }

  has(key: string): boolean {
    return this.#shards[shardOf(key, this.#shards.length)]?.has(key) ?? false;
  }

  /** A draft for one batch of changes; this map stays as it is. */
  edit(): MapDraft<V> {
    return new MapDraft<V>(this, this.#shards, (shards, size) => new ShardedMap(shards, size));
  }

  forEach(visit: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this.entries()) visit(value, key, this);
  }

  *entries(): MapIterator<[string, V]> {
    for (const shard of this.#shards) yield* shard.entries();
  }

  *keys(): MapIterator<string> {
    for (const shard of this.#shards) yield* shard.keys();
  }

  *values(): MapIterator<V> {
    for (const shard of this.#shards) yield* shard.values();
  }

  [Symbol.iterator](): MapIterator<[string, V]> {
    return this.entries();
  }
}

type Finish<V> = (shards: readonly ReadonlyMap<string, V>[], size: number) => ShardedMap<V>;

/** Copies what it changes at the first change of it. */
export class MapDraft<V> {
  readonly #finish: Finish<V>;
  #base: ShardedMap<V>;
  #shards: readonly ReadonlyMap<string, V>[];
  /** A copy of `#shards`, once anything has changed; and the shards in it that are copies. */
  #writing: ReadonlyMap<string, V>[] | undefined;
  #own = new Map<number, Map<string, V>>();
  #size: number;

  constructor(base: ShardedMap<V>, shards: readonly ReadonlyMap<string, V>[], finish: Finish<V>) {
    this.#base = base;
    this.#shards = shards;
    this.#size = base.size;
    this.#finish = finish;
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    return this.#shards[shardOf(key, this.#shards.length)]?.get(key);
  }

  set(key: string, value: V): void {
    const shard = this.#writable(key);
    const before = shard.size;
    shard.set(key, value);
    this.#size += shard.size - before;
    if (this.#size > this.#shards.length * FILL && this.#shards.length < MAX_SHARDS) this.#grow();
  }

  delete(key: string): void {
    if (this.get(key) === undefined) return;
    if (this.#writable(key).delete(key)) this.#size -= 1;
  }

  *keys(): Generator<string> {
    for (const shard of this.#shards) yield* shard.keys();
  }

  done(): ShardedMap<V> {
    if (this.#writing === undefined) return this.#base;
    this.#base = this.#finish(this.#writing, this.#size);
    // What was handed out is never changed again.
    this.#writing = undefined;
    this.#own = new Map();
    return this.#base;
  }

  #writable(key: string): Map<string, V> {
    if (this.#writing === undefined) this.#shards = this.#writing = [...this.#shards];
    const at = shardOf(key, this.#writing.length);
    let shard = this.#own.get(at);
    if (shard === undefined) {
      shard = new Map(this.#writing[at]);
      this.#own.set(at, shard);
      this.#writing[at] = shard;
    }
    return shard;
  }

  #grow(): void {
    const grown = Array.from({ length: this.#shards.length * 4 }, () => new Map<string, V>());
    for (const shard of this.#shards) {
      for (const [key, value] of shard) grown[shardOf(key, grown.length)]?.set(key, value);
    }
    this.#shards = this.#writing = grown;
    this.#own = new Map(grown.entries());
  }
}

/** FNV-1a; the count of shards is a power of two. */
function shardOf(key: string, shards: number): number {
  if (shards === 1) return 0;
  let sum = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) sum = Math.imul(sum ^ key.charCodeAt(i), 0x01000193);
  return (sum ^ (sum >>> 15)) & (shards - 1);
}
