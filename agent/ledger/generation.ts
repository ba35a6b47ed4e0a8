import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { secretTypes } from '../../lib/domain/resource-types.ts';
import { Inventory, resource } from '../../lib/sync/index.ts';
import type { Epoch, Resource, ResourceDelta } from '../../lib/sync/index.ts';
import { LedgerRecord } from '../../proto/gen/headgate/v1/ledger.ts';
import { hasCode } from './disk-error.ts';
import { frameRecord, scanRecords } from './record.ts';
import type { Sealer } from './seal.ts';

/** Epoch and revision that a set of resources stands for. */
export interface Held {
  readonly epoch: Epoch;
  readonly revision: bigint;
}

export interface Contents {
  readonly inventory: Inventory;
  readonly held: Held | undefined;
}

export interface Generation extends Contents {
  /** Bytes of whole records in the journal; what lies behind them was never acknowledged. */
  readonly journalEnd: number;
  readonly snapshotSize: number;
  /** What was dropped, in words; `undefined` when nothing was. */
  readonly problem: string | undefined;
}

export type Loaded =
  | { readonly kind: 'whole'; readonly generation: Generation }
  | { readonly kind: 'missing' }
  | { readonly kind: 'damaged'; readonly problem: string };

/** Resources in one record of a snapshot: keeps records small without many of them. */
const SLICE = 256;

export function encodeDelta(sealer: Sealer, delta: ResourceDelta, held: Held | undefined, end = false): Buffer {
  return frameRecord(
    LedgerRecord.encode({
      epoch: held?.epoch,
      revision: held?.revision ?? 0n,
      upserts: delta.upserts.map((one) => ({
        type: one.type,
        name: one.name,
        digest: Buffer.from(one.digest, 'hex'),
        body: secretTypes.has(one.type) ? sealer.seal(one, one.body) : Buffer.from(one.body),
      })),
      removals: delta.removals.map(({ type, name }) => ({ type, name })),
      endOfSnapshot: end,
    }).finish(),
  );
}

/** Reads `snapshot` and `journal` of one generation's folder. */
export async function loadGeneration(folder: string, sealer: Sealer): Promise<Loaded> {
  let snapshot: Buffer;
  let journal: Buffer;
  try {
    snapshot = await readFile(join(folder, 'snapshot'));
    journal = await readFile(join(folder, 'journal'));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { kind: 'missing' };
    return { kind: 'damaged', problem: `cannot be read: ${String(error)}` };
  }
  const base = scanRecords(snapshot);
  if (base.tail !== 'clean') return { kind: 'damaged', problem: 'the snapshot is damaged' };
  const tail = scanRecords(journal);
  if (tail.tail === 'damaged') return { kind: 'damaged', problem: `the journal is damaged at byte ${tail.end}` };
  try {
    const replayed = replay(base.payloads, tail.payloads, sealer);
    if (typeof replayed === 'string') return { kind: 'damaged', problem: replayed };
    const problems = [
      ...(tail.tail === 'torn' ? ['an unfinished write at the end of the journal was dropped'] : []),
      ...(replayed.unsealable.size === 0
        ? []
        : [`${replayed.unsealable.size} sealed resources cannot be opened with this key file and were dropped`]),
    ];
    const problem = problems.length === 0 ? undefined : problems.join('; ');
    const { inventory, held } = replayed;
    const generation = { inventory, held, journalEnd: tail.end, snapshotSize: snapshot.length, problem };
    return { kind: 'whole', generation };
  } catch (error) {
    return { kind: 'damaged', problem: `a record does not decode: ${String(error)}` };
  }
}

/** @returns what is wrong, where the records do not make a whole. */
function replay(
  snapshot: readonly Buffer[],
  journal: readonly Buffer[],
  sealer: Sealer,
): (Contents & { readonly unsealable: ReadonlySet<string> }) | string {
  const inventory = new Inventory();
  const unsealable = new Set<string>();
  let held: Held | undefined;
  let ended = false;
  for (const payload of [...snapshot, ...journal]) {
    const record = LedgerRecord.decode(payload);
    ended ||= record.endOfSnapshot;
    if (record.epoch !== undefined) held = { epoch: record.epoch, revision: record.revision };
    for (const stored of record.upserts) {
      const label = `${stored.type}/${stored.name}`;
      const body = secretTypes.has(stored.type) ? sealer.open(stored, stored.body) : stored.body;
      if (body === undefined) {
        unsealable.add(label);
        inventory.delete(stored);
        continue;
      }
      unsealable.delete(label);
      const next: Resource = resource(stored.type, stored.name, body);
      if (next.digest !== stored.digest.toString('hex')) return `${label} does not match its digest`;
      inventory.set(next);
    }
    for (const key of record.removals) {
      unsealable.delete(`${key.type}/${key.name}`);
      inventory.delete(key);
    }
  }
  return ended ? { inventory, held, unsealable } : 'the snapshot has no end';
}

/**
 * Writes a whole new generation beside the others and makes it `current`; what was current becomes
 * `previous` when it is worth keeping. A crash at any point leaves a whole generation that holds everything.
 *
 * @returns the open journal and the snapshot's size in bytes.
 */
export async function writeGeneration(
  folder: string,
  contents: Contents,
  sealer: Sealer,
  keepCurrent: boolean,
): Promise<{ readonly journal: FileHandle; readonly snapshotSize: number }> {
  const next = join(folder, 'next');
  const current = join(folder, 'current');
  await rm(next, { recursive: true, force: true });
  await mkdir(next, { mode: 0o700 });
  const snapshot = encodeSnapshot(contents, sealer);
  await writeDurably(join(next, 'snapshot'), snapshot);
  const journal = await open(join(next, 'journal'), 'a', 0o600);
  try {
    await journal.sync();
    await syncFolder(next);
    if (keepCurrent) {
      await rm(join(folder, 'previous'), { recursive: true, force: true });
      await rename(current, join(folder, 'previous'));
    } else {
      await rm(current, { recursive: true, force: true });
    }
    await rename(next, current);
    await syncFolder(folder);
  } catch (error) {
    await journal.close();
    throw error;
  }
  return { journal, snapshotSize: snapshot.length };
}

function encodeSnapshot({ inventory, held }: Contents, sealer: Sealer): Buffer {
  const all = [...inventory.all()];
  const records: Buffer[] = [];
  for (let at = 0; at < all.length; at += SLICE) {
    records.push(encodeDelta(sealer, { upserts: all.slice(at, at + SLICE), removals: [] }, undefined));
  }
  records.push(encodeDelta(sealer, { upserts: [], removals: [] }, held, true));
  return Buffer.concat(records);
}

async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  await using file = await open(path, 'w', 0o600);
  await file.writeFile(bytes);
  await file.sync();
}

async function syncFolder(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}
