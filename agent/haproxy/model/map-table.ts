import { mapLine } from '../render/escape.ts';
import type { MapView } from './desired.ts';

const BUCKETS = 256;

interface Bucket {
  readonly entries: Map<string, string>;
  text: string | undefined;
}

/**
 * The entries of one HAProxy map. Its text is kept in buckets, so that writing the file after a change costs
 * the text of one bucket and a concatenation. Text depends on the entries only, never on their history.
 */
export class MapTable implements MapView {
  /** Those that ever had an entry: most maps have few, and there are dozens. */
  readonly #buckets: (Bucket | undefined)[] = Array.from({ length: BUCKETS });
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): string | undefined {
    return this.#buckets[bucketOf(key)]?.entries.get(key);
  }

  /** @returns the value that stood before. */
  set(key: string, value: string): string | undefined {
    const bucket = (this.#buckets[bucketOf(key)] ??= { entries: new Map(), text: '' });
    const before = bucket.entries.get(key);
    if (before === undefined) this.#size++;
    if (before !== value) {
      bucket.entries.set(key, value);
      bucket.text = undefined;
    }
    return before;
  }

  /** @returns whether the key was there. */
  delete(key: string): boolean {
    const bucket = this.#buckets[bucketOf(key)];
    if (bucket === undefined || !bucket.entries.delete(key)) return false;
    this.#size--;
    bucket.text = undefined;
    return true;
  }

  *[Symbol.iterator](): Iterator<readonly [string, string]> {
    for (const bucket of this.#buckets) if (bucket !== undefined) yield* bucket.entries;
  }

  text(): string {
    return this.#buckets.map((bucket) => (bucket === undefined ? '' : bucketText(bucket))).join('');
  }
}

/** FNV-1a, 32 bit. */
function bucketOf(key: string): number {
  let sum = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) sum = Math.imul(sum ^ key.charCodeAt(i), 0x01000193);
  return (sum >>> 0) % BUCKETS;
}

function bucketText(bucket: Bucket): string {
  bucket.text ??= [...bucket.entries.keys()]
    .sort()
    .map((key) => `${mapLine(key, bucket.entries.get(key) ?? '')}\n`)
    .join('');
  return bucket.text;
}
