import { hash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../../lib/clock.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import type { Log } from '../../../lib/log.ts';
import { parseManifests, type ParsedParts } from '../../../lib/manifest/parse.ts';
import { MAX_TEXT } from '../../../lib/manifest/yaml-documents.ts';
import type { ResourceDelta } from '../../../lib/sync/index.ts';
import { Problem, Severity } from '../../../proto/gen/headgate/v1/reported.ts';
import type { Source, SourceChange } from '../source.ts';
import { Translator } from '../translate/translator.ts';
import { ChangeBuffer } from '../change-buffer.ts';
import type { FolderMemory } from './folder-memory.ts';
import { FolderObjects } from './folder-objects.ts';
import { FolderTree, isWithin } from './folder-tree.ts';
import { looksFinished, QUIET_MS, sameState, SettlingFiles, stateOf, type FileState } from './settling-files.ts';
import { Wakeup } from '../wakeup.ts';

export interface DirectoryOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Milliseconds that a document must be missing before its object counts as deleted. */
  readonly settleMs?: number;
  /** What files were before they broke, across restarts; without it only what this process has seen is kept. */
  readonly memory?: FolderMemory;
  /** Secret, `<namespace>/<name>`; see TranslatorOptions. */
  readonly defaultCertificate?: string | undefined;
  /** Milliseconds between full rescans, the safety net under the watches. */
  readonly rescanMs?: number;
}

/** A Service's ready counts go up at most every so many milliseconds. */
const SERVICE_MS = 100;
/** Milliseconds between looks at a folder that is not there or cannot be watched. */
const POLL_MS = 500;
/** Files looked at side by side, and entries after which a long round hands on what it has. */
const PARALLEL = 32;
const ROUND = 512;

/**
 * A folder of Kubernetes manifests as a cluster (design, section 9). The folder is only read. Each call of
 * `changes` is a fresh look: its first change holds everything, however long that takes; while the folder is
 * not there it stays silent.
 */
export function directorySource(options: DirectoryOptions): Source {
  return {
    changes: async function* (signal) {
      using session = new Session(options);
      while (!signal.aborted) {
        const change = await session.next(signal);
        if (change !== undefined) yield change;
      }
    },
  };
}

interface KnownFile {
  readonly state: FileState;
  /** Of the text; undefined where the file could not be read. */
  readonly digest: string | undefined;
  readonly parts: ParsedParts;
}

class Session implements Disposable {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #rescanMs: number;
  readonly #tree: FolderTree;
  readonly #objects: FolderObjects;
  readonly #translator: Translator;
  readonly #buffer = new ChangeBuffer(SERVICE_MS);
  readonly #settling = new SettlingFiles();
  readonly #wakeup: Wakeup;
  readonly #files = new Map<string, KnownFile>();
  /** Paths to look at, with the time from which on. */
  readonly #dirty = new Map<string, number>();
  readonly #memory: FolderMemory | undefined;
  /** Texts to be remembered, or forgotten, once what they changed has been handed on. */
  #toKeep = new Map<string, string | undefined>();
  #rescanAt = Number.NEGATIVE_INFINITY;
  /** Whether everything has been seen once, and whether that has been handed on. */
  #listed = false;
  #told = false;
  /** Of the folder itself; undefined while it is not there. */
  #rootInode: bigint | undefined;
  #lossTold = false;
  #watchable = true;

  constructor(options: DirectoryOptions) {
    const { folder, clock, log, memory, defaultCertificate, settleMs = 200, rescanMs = 10_000 } = options;
    this.#translator = new Translator({ folder: true, defaultCertificate });
    this.#clock = clock;
    this.#log = log.with({ folder });
    this.#rescanMs = rescanMs;
    this.#memory = memory;
    this.#objects = new FolderObjects(settleMs);
    this.#wakeup = new Wakeup(clock);
    this.#tree = new FolderTree(
      folder,
      (path) => {
        // A look that waits for quiet is not hastened by the next write.
        if (!this.#dirty.has(path)) this.#dirty.set(path, Number.NEGATIVE_INFINITY);
        this.#wakeup.wake();
      },
      (error) => {
        if (this.#watchable) this.#log.warn('folder cannot be watched and is read twice a second instead', { error });
        this.#watchable = false;
      },
    );
  }

  [Symbol.dispose](): void {
    this.#remember();
    this.#tree[Symbol.dispose]();
  }

  /** @returns undefined when aborted. */
  async next(signal: AbortSignal): Promise<SourceChange | undefined> {
    this.#remember();
    while (!signal.aborted) {
      if (this.#clock.now() >= this.#rescanAt) await this.#rescan();
      else await this.#lookAtDirty();
      await this.#expire();
      this.#buffer.add(this.#translator.apply(this.#objects.take(), this.#clock.wall()));
      if (this.#listed) {
        const change = this.#buffer.take(this.#clock.now()) ?? (this.#told ? undefined : NOTHING);
        if (change !== undefined) {
          this.#told = true;
          this.#tell(change.report);
          return change;
        }
      }
      await this.#wakeup.wait(this.#deadline() - this.#clock.now(), signal);
    }
    return undefined;
  }

  #deadline(): number {
    const times = [this.#rescanAt, ...this.#dirty.values()];
    for (const time of [this.#objects.deadline(), this.#buffer.deadline()]) if (time !== undefined) times.push(time);
    return times.reduce((soonest, time) => Math.min(soonest, time), Number.POSITIVE_INFINITY);
  }

  /** Looks at everything there is; what did not change since costs a stat. */
  async #rescan(): Promise<void> {
    const found = await this.#tree.find('');
    if (found.kind !== 'folder') {
      this.#lost(found.kind === 'unknown' ? found.cause : undefined);
      return;
    }
    this.#rootInode = found.stats.ino;
    this.#lossTold = false;
    this.#objects.unknown('', undefined);
    const seen = new Set<string>();
    await this.#lookAt([''], seen, 'scan');
    const known = new Set([...this.#files.keys(), ...this.#objects.files()]);
    await this.#lookAt(
      [...known].filter((path) => !seen.has(path)),
      seen,
      'scan',
    );
    // It may have been lost on the way.
    if (this.#rootInode === undefined) return;
    if (!this.#listed) {
      for (const path of this.#memory?.paths() ?? []) if (!seen.has(path)) this.#toKeep.set(path, undefined);
    }
    this.#listed = true;
    this.#rescanAt = this.#clock.now() + (this.#watchable ? this.#rescanMs : POLL_MS);
  }

  async #lookAtDirty(): Promise<void> {
    const now = this.#clock.now();
    const due: string[] = [];
    for (const [path, from] of this.#dirty) {
      if (from > now) continue;
      this.#dirty.delete(path);
      if (due.push(path) === ROUND) break;
    }
    await this.#lookAt(due, new Set(), 'event');
  }

  /** @param seen collects every path looked at, those below included. */
  async #lookAt(paths: readonly string[], seen: Set<string>, cause: Cause): Promise<void> {
    const queue = [...paths];
    while (queue.length > 0) {
      const some = queue.splice(-PARALLEL);
      const below = await Promise.all(
        some.map(async (path) => {
          seen.add(path);
          return await this.#look(path, cause);
        }),
      );
      for (const entries of below) queue.push(...entries);
    }
  }

  /** @returns entries below a folder, to be looked at too. */
  async #look(path: string, cause: Cause): Promise<readonly string[]> {
    const found = await this.#tree.find(path);
    switch (found.kind) {
      case 'file':
        await this.#read(path, found.stats, cause);
        return [];
      case 'folder':
        return await this.#list(path, found.stats, cause);
      case 'nothing':
        await this.#gone(path);
        return [];
      default:
        this.#unreadable(path, found.cause);
        return [];
    }
  }

  async #list(path: string, stats: BigIntStats, cause: Cause): Promise<readonly string[]> {
    try {
      const entries = await this.#tree.list(path, stats);
      this.#objects.unknown(path, undefined);
      // A scan looks for what it did not meet when it is through.
      if (cause === 'scan') return entries;
      const there = new Set(entries);
      return [...entries, ...this.#filesWithin(path).filter((file) => !there.has(file))];
    } catch (thrown) {
      this.#unreadable(path, thrown);
      return [];
    }
  }

  async #read(path: string, stats: BigIntStats, cause: Cause): Promise<void> {
    const state = stateOf(stats);
    const known = this.#files.get(path);
    if (cause === 'scan' && known !== undefined && sameState(known.state, state)) return;
    const inPlace = known?.state.inode === state.inode && !sameState(known.state, state);
    if (inPlace && !this.#settling.settled(path, state, this.#clock.now())) return this.#again(path);
    let text: string;
    try {
      text = stats.size > MAX_TEXT ? OVERSIZE : await readFile(this.#tree.absolute(path), 'utf8');
    } catch (thrown) {
      // Gone since the look, or not ours to read; the next look tells.
      if ((await this.#tree.find(path)).kind === 'nothing') await this.#gone(path);
      else this.#unreadable(path, thrown);
      return;
    }
    const isNew = this.#listed && !inPlace && known?.state.inode !== state.inode;
    if (isNew && !looksFinished(text) && !this.#settling.settled(path, state, this.#clock.now())) {
      return this.#again(path);
    }
    this.#settling.forget(path);
    const digest = hash('sha256', text, 'hex');
    const parts: ParsedParts = known?.parts ?? new Map();
    this.#files.set(path, { state, digest, parts });
    if (known?.digest === digest) return;
    const parsed = parseManifests(text, path, parts);
    // A file of one document changes as a whole.
    if (parts.size === 1) parts.clear();
    if (parsed.errors.length === 0) this.#toKeep.set(path, text);
    else if (!this.#objects.has(path)) this.#recall(path);
    this.#objects.read(path, parsed, this.#clock.now());
  }

  /** A file that is wrong when first seen was right in an earlier life, perhaps. */
  #recall(path: string): void {
    const text = this.#memory?.get(path);
    if (text !== undefined) this.#objects.read(path, parseManifests(text, path), this.#clock.now());
  }

  #remember(): void {
    if (this.#toKeep.size === 0) return;
    try {
      this.#memory?.keep(this.#toKeep);
    } catch (error) {
      // The folder itself is the truth; this only helps a restart while a file is broken.
      this.#log.warn('what the files are now will be forgotten by a restart', { error });
    }
    this.#toKeep = new Map();
  }

  #again(path: string): void {
    this.#dirty.set(path, this.#clock.now() + QUIET_MS);
  }

  /** Only while the folder itself is there does a missing file mean anything. */
  async #gone(path: string): Promise<void> {
    const isFolder = this.#tree.isFolder(path);
    if (!isFolder && !this.#files.has(path) && !this.#objects.has(path)) return;
    const root = await this.#tree.find('');
    if (root.kind !== 'folder') return this.#lost(root.kind === 'unknown' ? root.cause : undefined);
    if (root.stats.ino !== this.#rootInode) this.#rescanAt = Number.NEGATIVE_INFINITY;
    for (const file of isFolder ? [path, ...this.#filesWithin(path)] : [path]) {
      this.#files.delete(file);
      this.#settling.forget(file);
      this.#objects.gone(file, this.#clock.now());
      this.#toKeep.set(file, undefined);
    }
    if (isFolder) this.#tree.forget(path);
  }

  #filesWithin(folder: string): readonly string[] {
    return [...new Set([...this.#files.keys(), ...this.#objects.files()])].filter((file) => isWithin(file, folder));
  }

  /** Believes what has been missing long enough, while the folder itself is there. */
  async #expire(): Promise<void> {
    const now = this.#clock.now();
    if ((this.#objects.deadline() ?? Number.POSITIVE_INFINITY) > now) return;
    const root = await this.#tree.find('');
    if (root.kind === 'folder') this.#objects.expire(now);
    else this.#lost(root.kind === 'unknown' ? root.cause : undefined);
  }

  /** The folder as a whole cannot be looked at: everything stays as it was. */
  #lost(cause: unknown): void {
    const message = cause === undefined ? 'the folder is not there' : `the folder cannot be read: ${reason(cause)}`;
    const remedy = 'put it back; until then its objects stay as they were';
    if (!this.#lossTold) this.#log.error(message);
    this.#lossTold = true;
    this.#rootInode = undefined;
    this.#objects.stayAll();
    this.#objects.unknown('', new HeadgateError('HG2003', message, { place: '.', remedy }));
    this.#tree.forget('');
    this.#dirty.clear();
    this.#rescanAt = this.#clock.now() + POLL_MS;
  }

  #unreadable(path: string, cause: unknown): void {
    this.#files.delete(path);
    const remedy = 'let the agent read it; until then its objects stay as they were';
    const error = new HeadgateError('HG2003', `cannot be read: ${reason(cause)}`, { place: path, remedy, cause });
    this.#objects.unknown(path, error);
  }

  /** Problems are the only thing of a folder that somebody reading logs must see. */
  #tell({ upserts }: ResourceDelta): void {
    for (const { type, body } of upserts) {
      if (type !== 'problem') continue;
      const { code, kind, namespace, name, field, message, remedy, place, severity } = Problem.decode(body);
      const fields = {
        code,
        object: `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`,
        field,
        place,
        remedy,
      };
      if (severity === Severity.ERROR) this.#log.error(message, fields);
      else this.#log.warn(message, fields);
    }
  }
}

/** A scan trusts a file's state; an event says that it changed, whatever the state says. */
type Cause = 'scan' | 'event';

const NOTHING: SourceChange = { report: { upserts: [], removals: [] }, own: { upserts: [], removals: [] } };
/** Read instead of a file that is too large to be read: refused by its length. */
const OVERSIZE = '\n'.repeat(MAX_TEXT + 1);

function reason(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
}
