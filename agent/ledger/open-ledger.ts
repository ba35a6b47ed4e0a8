import { join } from 'node:path';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { Inventory } from '../../lib/sync/index.ts';
import { diskError } from './disk-error.ts';
import { DiskLedger } from './disk-ledger.ts';
import { loadGeneration } from './generation.ts';
import type { Generation, Loaded } from './generation.ts';
import { openSealer } from './seal.ts';
import type { Ledger } from './types.ts';

export interface LedgerOptions {
  /** Ours alone; made where it is missing. */
  readonly folder: string;
  /** Key that secret bodies are sealed with; made where it is missing. */
  readonly keyFile: string;
  readonly log: Log;
}

/**
 * Opens the ledger with what it last acknowledged. A readable ledger on a full or read-only disk opens too:
 * the node serves, and each commit says why it cannot be kept.
 *
 * @throws HG2003 where another process holds the folder, or where nothing can be read and nothing written.
 */
export async function openLedger({ folder, keyFile, log }: LedgerOptions): Promise<Ledger> {
  const disk = new DiskLedger(folder, log);
  try {
    const locked = await attempt(folder, () => disk.lock());
    const sealer = await openSealer(keyFile);
    const current = await loadGeneration(join(folder, 'current'), sealer);
    if (current.kind === 'whole') {
      disk.hold(sealer, current.generation, { from: 'current', problem: current.generation.problem });
      const written = locked ?? (await attempt(folder, () => disk.continueJournal(current.generation)));
      if (written !== undefined) disk.failed(written);
      return disk;
    }
    const previous = await loadGeneration(join(folder, 'previous'), sealer);
    const found = previous.kind === 'whole' ? previous.generation : undefined;
    disk.hold(sealer, found ?? empty(), {
      from: found === undefined ? 'empty' : 'previous',
      problem: problem(current, previous),
    });
    const written = locked ?? (await attempt(folder, () => disk.rewrite()));
    if (written !== undefined && found === undefined) throw written;
    if (written !== undefined) disk.failed(written);
    return disk;
  } catch (error) {
    await disk[Symbol.asyncDispose]();
    throw error;
  }
}

/** @returns the disk's error; throws what is not the disk's, for example another process's lock. */
async function attempt(folder: string, write: () => Promise<void>): Promise<HeadgateError | undefined> {
  try {
    await write();
    return undefined;
  } catch (error) {
    if (error instanceof HeadgateError) throw error;
    return diskError(folder, error);
  }
}

/** What is wrong with a ledger whose current generation is not whole; nothing is, where there never was one. */
function problem(current: Exclude<Loaded, { kind: 'whole' }>, previous: Loaded): string | undefined {
  if (current.kind === 'missing' && previous.kind === 'missing') return undefined;
  const parts = [`current: ${current.kind === 'missing' ? 'missing' : current.problem}`];
  if (previous.kind === 'missing') parts.push('previous: missing');
  if (previous.kind === 'damaged') parts.push(`previous: ${previous.problem}`);
  if (previous.kind === 'whole' && previous.generation.problem !== undefined) {
    parts.push(`previous: ${previous.generation.problem}`);
  }
  return parts.join('; ');
}

function empty(): Generation {
  return { inventory: new Inventory(), held: undefined, journalEnd: 0, snapshotSize: 0, problem: undefined };
}
