import type { DeltaChunk, InventoryEntry, ResourceKey as WireKey } from '../../proto/gen/headgate/v1/sync.ts';
import { breakAfterMake, makeBeforeBreak } from './order.ts';
import type { Resource, ResourceKey } from './resource.ts';
import { encodedSize, wireResource } from './wire.ts';

/**
 * Bytes that one message of several items may reach; the rule is below 1 MiB. Each must pass the link within
 * the acknowledgement deadline.
 */
const chunkBytes = 256 * 1024;

/** Bytes of one resource above which it is not sent: a receiver takes messages of 16 MiB at most. */
export const maxResourceBytes = 8 * 1024 * 1024;

/** Bytes around the fields of an entry: tags and lengths, rounded up. */
const overhead = 16;

/** Splits a delta: upserts made before broken, then removals. At least one chunk, the last one marked. */
export function* deltaChunks(
  id: bigint,
  revision: bigint,
  upserts: readonly Resource[],
  removals: readonly ResourceKey[],
  endOfSnapshot: boolean,
): Generator<DeltaChunk> {
  const parts = split(
    [
      ...makeBeforeBreak(upserts).map((next) => ({ upsert: wireResource(next) })),
      ...breakAfterMake(removals).map((key) => ({ removal: { type: key.type, name: key.name } })),
    ],
    (item) => ('upsert' in item ? encodedSize(item.upsert) : keyBytes(item.removal)),
  );
  for (const { items, last } of parts) {
    yield {
      id,
      revision,
      upserts: items.flatMap((item) => ('upsert' in item ? [item.upsert] : [])),
      removals: items.flatMap((item) => ('removal' in item ? [item.removal] : [])),
      last,
      endOfSnapshot: endOfSnapshot && last,
    };
  }
}

/** Splits a type's inventory. */
export function* inventoryChunks(resources: Iterable<Resource>): Generator<{
  readonly entries: readonly InventoryEntry[];
  readonly last: boolean;
}> {
  const entries = [...resources].map(({ name, digest }) => ({ name, digest: Buffer.from(digest, 'hex') }));
  for (const { items, last } of split(entries, entryBytes)) yield { entries: items, last };
}

/** Bytes of an inventory entry on the wire, rounded up. */
export function entryBytes(entry: InventoryEntry): number {
  return Buffer.byteLength(entry.name) + entry.digest.length + overhead;
}

function keyBytes(key: WireKey): number {
  return Buffer.byteLength(key.type) + Buffer.byteLength(key.name) + overhead;
}

function* split<T>(
  all: readonly T[],
  size: (item: T) => number,
): Generator<{ readonly items: readonly T[]; readonly last: boolean }> {
  let items: T[] = [];
  let bytes = 0;
  for (const item of all) {
    const more = size(item);
    if (items.length > 0 && bytes + more > chunkBytes) {
      yield { items, last: false };
      items = [];
      bytes = 0;
    }
    items.push(item);
    bytes += more;
  }
  yield { items, last: true };
}
