import { createHash, hash } from 'node:crypto';

/** The unit of the wire. Immutable; `digest` is SHA-256 over `body`, lower-case hex. */
export interface Resource {
  readonly type: string;
  readonly name: string;
  readonly digest: string;
  readonly body: Uint8Array;
}

export interface ResourceKey {
  readonly type: string;
  readonly name: string;
}

/** A set of changes that take effect together. */
export interface ResourceDelta {
  readonly upserts: readonly Resource[];
  readonly removals: readonly ResourceKey[];
}

export interface Epoch {
  readonly counter: bigint;
  readonly id: string;
}

export function resource(type: string, name: string, body: Uint8Array): Resource {
  return { type, name, body, digest: hash('sha256', body, 'hex') };
}

/**
 * A two-level map of resources, type then name. Mutable, owned by one room; what it hands out is immutable.
 */
export class Inventory {
  readonly #types = new Map<string, Map<string, Resource>>();
  readonly #digests = new Map<string, string>();

  get(type: string, name: string): Resource | undefined {
    return this.#types.get(type)?.get(name);
  }

  /** Types that hold at least one resource, ascending. */
  types(): string[] {
    return [...this.#types.keys()].sort();
  }

  /** Resources of a type in no particular order. */
  ofType(type: string): Iterable<Resource> {
    return this.#types.get(type)?.values() ?? [];
  }

  *all(): Iterable<Resource> {
    for (const names of this.#types.values()) yield* names.values();
  }

  get size(): number {
    let size = 0;
    for (const names of this.#types.values()) size += names.size;
    return size;
  }

  /** @returns whether anything changed. */
  set(next: Resource): boolean {
    let names = this.#types.get(next.type);
    if (names === undefined) this.#types.set(next.type, (names = new Map()));
    if (names.get(next.name)?.digest === next.digest) return false;
    names.set(next.name, next);
    this.#digests.delete(next.type);
    return true;
  }

  /** @returns whether anything changed. */
  delete({ type, name }: ResourceKey): boolean {
    const names = this.#types.get(type);
    if (names === undefined || !names.delete(name)) return false;
    if (names.size === 0) this.#types.delete(type);
    this.#digests.delete(type);
    return true;
  }

  apply(delta: ResourceDelta): void {
    for (const next of delta.upserts) this.set(next);
    for (const key of delta.removals) this.delete(key);
  }

  /** SHA-256 over (name, 0x00, digest) in ascending order of name; hex. Cached until the type changes. */
  typeDigest(type: string): string {
    const cached = this.#digests.get(type);
    if (cached !== undefined) return cached;
    const sum = createHash('sha256');
    const names = this.#types.get(type) ?? new Map<string, Resource>();
    for (const name of [...names.keys()].sort()) {
      sum
        .update(name)
        .update('\0')
        .update(Buffer.from(names.get(name)?.digest ?? '', 'hex'));
    }
    const digest = sum.digest('hex');
    this.#digests.set(type, digest);
    return digest;
  }
}
