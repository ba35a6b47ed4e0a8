import { chmod, mkdir, open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { Inventory } from '../../lib/sync/index.ts';
import type { AcceptedDelta, ResourceDelta } from '../../lib/sync/index.ts';
import { diskError } from './disk-error.ts';
import { lockFolder } from './folder-lock.ts';
import { encodeDelta, writeGeneration } from './generation.ts';
import type { Generation, Held } from './generation.ts';
import type { Sealer } from './seal.ts';
import { isLocal } from './types.ts';
import type { Ledger } from './types.ts';

/** A journal is folded into a new snapshot when it is larger than the snapshot and this many bytes. */
const FOLD_AT = 4 << 20;

interface Journal {
  readonly file: FileHandle;
  /** Bytes acknowledged; whatever lies behind them is cut off before the next record. */
  end: number;
  snapshotSize: number;
}

/** The ledger's state and its writes, one after another. `openLedger` makes it ready. */
export class DiskLedger implements Ledger {
  readonly #folder: string;
  readonly #log: Log;
  #sealer: Sealer | undefined;
  #inventory = new Inventory();
  #held: Held | undefined;
  #loaded: Ledger['loaded'] = { from: 'empty', problem: undefined };
  #trouble: string | undefined;
  /** Whether the journal is no longer where it was. */
  #gone = false;
  #lock: Disposable | undefined;
  /** `undefined` while the disk takes no writes: the next commit starts a new generation. */
  #journal: Journal | undefined;
  /** Whether the generation on disk that is called current is worth keeping as previous. */
  #currentIsWhole = false;
  #queue: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(folder: string, log: Log) {
    this.#folder = folder;
    this.#log = log;
  }

  get inventory(): Inventory {
    return this.#inventory;
  }

  get loaded(): Ledger['loaded'] {
    return this.#loaded;
  }

  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Notes why a write failed before there was anything to commit. */
  failed(error: HeadgateError): void {
    this.#trouble = error.message;
    this.#log.warn('the ledger was read but cannot be written', { error });
  }

  held(): Held | undefined {
    return this.#held;
  }

  async lock(): Promise<void> {
    if (this.#lock !== undefined) return;
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await chmod(this.#folder, 0o700);
    this.#lock = lockFolder(this.#folder);
  }

  hold(sealer: Sealer, { inventory, held }: Generation, loaded: Ledger['loaded']): void {
    this.#sealer = sealer;
    this.#inventory = inventory;
    this.#held = held;
    this.#loaded = loaded;
    this.#currentIsWhole = loaded.from === 'current';
  }

  /** Goes on with the journal that was loaded, without its torn end. */
  async continueJournal({ journalEnd, snapshotSize }: Generation): Promise<void> {
    const file = await open(this.#journalPath, 'a', 0o600);
    try {
      if ((await file.stat()).size > journalEnd) {
        await file.truncate(journalEnd);
        await file.sync();
      }
      this.#journal = { file, end: journalEnd, snapshotSize };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Starts a new current generation with what is held; a damaged one never becomes `previous`. */
  async rewrite(): Promise<void> {
    await this.#newGeneration();
  }

  async commit(delta: AcceptedDelta): Promise<void> {
    if ([...delta.upserts, ...delta.removals].some(isLocal)) {
      throw new HeadgateError('HG3006', 'a delta from another process holds a type that is local to a node');
    }
    await this.#enqueue(() => this.#append(delta, { epoch: delta.epoch, revision: delta.revision }));
  }

  async check(): Promise<void> {
    // What was refused for want of space the next commit tries.
    if (this.#trouble !== undefined && this.#journal !== undefined && !this.#gone) return;
    await this.#enqueue(async () => {
      if (this.#journal === undefined) await this.#newGeneration();
      else await this.#assertInPlace(this.#journal);
    }).catch(() => undefined);
  }

  async commitLocal(delta: ResourceDelta): Promise<void> {
    if (![...delta.upserts, ...delta.removals].every(isLocal)) {
      throw new HeadgateError('HG9001', 'a local commit holds a type that travels');
    }
    await this.#enqueue(() => this.#append(delta, undefined));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#queue;
    await this.#journal?.file.close();
    this.#journal = undefined;
    this.#lock?.[Symbol.dispose]();
    this.#lock = undefined;
  }

  async #enqueue(write: () => Promise<void>): Promise<void> {
    if (this.#closed) throw new HeadgateError('HG9001', 'the ledger is closed');
    const done = this.#queue.then(write);
    // Folding follows a commit and is not waited for by its caller.
    this.#queue = done.then(
      () => this.#fold(),
      () => undefined,
    );
    try {
      await done;
      if (this.#trouble !== undefined) this.#log.info('the ledger can be written again');
      this.#trouble = undefined;
    } catch (thrown) {
      const error = diskError(this.#folder, thrown);
      if (this.#trouble === undefined) this.#log.warn('the ledger cannot be written', { error });
      this.#trouble = error.message;
      throw error;
    }
  }

  async #append(delta: ResourceDelta, held: Held | undefined): Promise<void> {
    if (delta.upserts.length === 0 && delta.removals.length === 0 && isSame(held ?? this.#held, this.#held)) return;
    const journal = this.#journal ?? (await this.#newGeneration());
    const record = encodeDelta(this.#needSealer(), delta, held);
    await this.#assertInPlace(journal);
    try {
      await journal.file.appendFile(record);
      await journal.file.datasync();
    } catch (error) {
      await this.#cut(journal);
      throw error;
    }
    journal.end += record.length;
    this.#inventory.apply(delta);
    this.#held = held ?? this.#held;
  }

  /** A disk that was unmounted goes on taking what nobody will find again. */
  async #assertInPlace({ file }: Journal): Promise<void> {
    this.#gone = true;
    const [held, found] = await Promise.all([file.stat(), stat(this.#journalPath)]);
    if (held.dev !== found.dev || held.ino !== found.ino) throw new Error('another disk is in its place');
    this.#gone = false;
  }

  get #journalPath(): string {
    return join(this.#folder, 'current', 'journal');
  }

  /** Takes back a record that failed half-way; where even that fails the journal is given up. */
  async #cut(journal: Journal): Promise<void> {
    try {
      await journal.file.truncate(journal.end);
      await journal.file.datasync();
    } catch {
      this.#journal = undefined;
      await journal.file.close().catch(() => undefined);
    }
  }

  async #fold(): Promise<void> {
    const journal = this.#journal;
    if (journal === undefined || journal.end < Math.max(FOLD_AT, journal.snapshotSize)) return;
    try {
      await this.#newGeneration();
    } catch (error) {
      // What was acknowledged stands in the journal; try again when that has grown as much once more.
      journal.snapshotSize = journal.end * 2;
      this.#log.warn('the ledger cannot be folded', { error: diskError(this.#folder, error) });
    }
  }

  async #newGeneration(): Promise<Journal> {
    await this.lock();
    const { journal: file, snapshotSize } = await writeGeneration(
      this.#folder,
      { inventory: this.#inventory, held: this.#held },
      this.#needSealer(),
      this.#currentIsWhole,
    );
    this.#currentIsWhole = true;
    const old = this.#journal;
    this.#journal = { file, end: 0, snapshotSize };
    await old?.file.close();
    return this.#journal;
  }

  #needSealer(): Sealer {
    if (this.#sealer === undefined) throw new HeadgateError('HG9001', 'the ledger is not open');
    return this.#sealer;
  }
}

function isSame(one: Held | undefined, other: Held | undefined): boolean {
  return (
    one?.revision === other?.revision &&
    one?.epoch.counter === other?.epoch.counter &&
    one?.epoch.id === other?.epoch.id
  );
}
