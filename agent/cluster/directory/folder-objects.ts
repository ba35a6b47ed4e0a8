import type { HeadgateError } from '../../../lib/errors.ts';
import { objectKey, objectTitle, placeText, type Manifest, type ObjectRef } from '../../../lib/manifest/manifest.ts';
import type { ParsedManifests } from '../../../lib/manifest/parse.ts';
import { escapeUnprintable } from '../../../lib/manifest/quoted.ts';
import { Severity, type Problem } from '../../../proto/gen/headgate/v1/reported.ts';
import { problemOfError } from '../translate/problems.ts';
import type { ObjectChanges } from '../translate/translator.ts';

/** A document of a file that says what an object is. */
interface Claim {
  readonly file: string;
  readonly manifest: Manifest;
  /** Milliseconds of the monotonic clock at which the claim ends, while the document is missing. */
  leaving: number | undefined;
}

/** A document that goes waits this many settling times for the ones that go after it, and no longer. */
const PATIENCE = 10;

/**
 * What all files together say the objects are. A document that is missing ends its claim only after it has
 * been missing for a while and no other has gone meanwhile, so that what is removed together is told together:
 * the hub's guard judges removals by the report. One that is wrong, or in a file that does not parse, leaves the last good claim as
 * it is. Of several files that claim one object the first by path has it.
 */
export class FolderObjects {
  readonly #settleMs: number;
  /** By object, then by file. */
  readonly #claims = new Map<string, Map<string, Claim>>();
  /** By file: the objects that it claims. */
  readonly #files = new Map<string, Set<string>>();
  /** Claims that end, soonest first. */
  readonly #leaving = new Map<Claim, string>();
  /** When the claim that began to leave last ends. */
  #lastLeaves = 0;
  readonly #published = new Map<string, Manifest>();
  #dirty = new Set<string>();
  #problems = new Map<string, readonly Problem[]>();

  constructor(settleMs: number) {
    this.#settleMs = settleMs;
  }

  /** Files that claim anything, missing ones included. */
  files(): Iterable<string> {
    return this.#files.keys();
  }

  has(file: string): boolean {
    return this.#files.has(file);
  }

  /** A file as it is now. */
  read(file: string, { readable, documents, errors }: ParsedManifests, now: number): void {
    const problems = errors.map(({ error, ref }) => problemOfError(error, ref ?? fileRef(file)));
    // Whatever cannot be told by name may be any object of the file.
    const unnamed = !readable || errors.some(({ ref }) => ref === undefined);
    const wrong = new Set(errors.flatMap(({ ref }) => (ref === undefined ? [] : [objectKey(ref)])));
    const present = new Map<string, Manifest>();
    for (const manifest of documents) {
      const key = objectKey(manifest);
      const first = present.get(key);
      if (first === undefined) present.set(key, manifest);
      else problems.push(duplicate(manifest, first));
    }
    for (const [key, manifest] of present) this.#claim(key, { file, manifest, leaving: undefined });
    for (const key of this.#files.get(file) ?? []) {
      if (present.has(key)) continue;
      if (unnamed || wrong.has(key)) this.#stay(key, file);
      else this.#leave(key, file, now);
    }
    this.#problems.set(`file ${file}`, problems);
  }

  /** A file that is not there any more. */
  gone(file: string, now: number): void {
    for (const key of this.#files.get(file) ?? []) this.#leave(key, file, now);
    this.#problems.set(`file ${file}`, []);
  }

  /** A file, or the folder itself (''), that cannot be looked at: what it said stays. */
  unknown(file: string, error: HeadgateError | undefined): void {
    for (const key of this.#files.get(file) ?? []) this.#stay(key, file);
    this.#problems.set(`file ${file}`, error === undefined ? [] : [problemOfError(error, fileRef(file))]);
  }

  /** Nothing that was missing counts as missing: the folder cannot be looked at. */
  stayAll(): void {
    for (const [claim, key] of this.#leaving) {
      claim.leaving = undefined;
      this.#dirty.add(key);
    }
    this.#leaving.clear();
  }

  /** Ends the claims whose time has come. */
  expire(now: number): void {
    if ((this.deadline() ?? Infinity) > now) return;
    for (const [claim, key] of this.#leaving) {
      if (claim.leaving === undefined || claim.leaving > now) break;
      this.#leaving.delete(claim);
      this.#drop(key, claim.file);
    }
  }

  /** When `expire` will next end something. */
  deadline(): number | undefined {
    const [first] = this.#leaving.keys();
    if (first?.leaving === undefined) return undefined;
    return Math.min(Math.max(first.leaving, this.#lastLeaves), first.leaving + (PATIENCE - 1) * this.#settleMs);
  }

  /** What changed since the last call. */
  take(): ObjectChanges {
    const set: Manifest[] = [];
    const deleted: ObjectRef[] = [];
    for (const key of this.#dirty) {
      const claims = [...(this.#claims.get(key)?.values() ?? [])].sort(byPrecedence);
      const winner = claims[0]?.manifest;
      const before = this.#published.get(key);
      if (winner === undefined) {
        if (before !== undefined) deleted.push(before);
        this.#published.delete(key);
      } else if (winner !== before) {
        set.push(winner);
        this.#published.set(key, winner);
      }
      const losers = claims.slice(1).filter(({ leaving }) => leaving === undefined);
      const problems = winner === undefined ? [] : losers.map(({ manifest }) => duplicate(manifest, winner));
      this.#problems.set(`duplicate ${key}`, problems);
    }
    const changes = { set, deleted, problems: this.#problems };
    this.#dirty = new Set();
    this.#problems = new Map();
    return changes;
  }

  #claim(key: string, claim: Claim): void {
    const claims = this.#claims.get(key) ?? new Map<string, Claim>();
    const before = claims.get(claim.file);
    if (before?.manifest === claim.manifest && before.leaving === undefined) return;
    if (before !== undefined) this.#leaving.delete(before);
    this.#claims.set(key, claims.set(claim.file, claim));
    const keys = this.#files.get(claim.file) ?? new Set<string>();
    this.#files.set(claim.file, keys.add(key));
    this.#dirty.add(key);
  }

  #stay(key: string, file: string): void {
    const claim = this.#claims.get(key)?.get(file);
    if (claim?.leaving === undefined) return;
    claim.leaving = undefined;
    this.#leaving.delete(claim);
    this.#dirty.add(key);
  }

  #leave(key: string, file: string, now: number): void {
    const claim = this.#claims.get(key)?.get(file);
    if (claim === undefined || claim.leaving !== undefined) return;
    claim.leaving = now + this.#settleMs;
    this.#lastLeaves = claim.leaving;
    this.#leaving.set(claim, key);
    // Another file's claim, or the same object under another name, takes over at once.
    this.#dirty.add(key);
  }

  #drop(key: string, file: string): void {
    const claims = this.#claims.get(key);
    claims?.delete(file);
    if (claims?.size === 0) this.#claims.delete(key);
    const keys = this.#files.get(file);
    keys?.delete(key);
    if (keys?.size === 0) this.#files.delete(file);
    this.#dirty.add(key);
  }
}

/** Documents that are there before those that are missing, then by path. */
function byPrecedence(a: Claim, b: Claim): number {
  const missing = Number(a.leaving !== undefined) - Number(b.leaving !== undefined);
  return missing !== 0 ? missing : a.file < b.file ? -1 : 1;
}

function duplicate(loser: Manifest, winner: Manifest): Problem {
  return {
    code: 'HG1002',
    kind: loser.kind,
    namespace: loser.namespace,
    name: loser.name,
    field: 'metadata.name',
    message: `${objectTitle(loser)} is also in ${placeText(winner.place)}, and that document is used`,
    remedy: 'remove one of the two',
    place: placeText(loser.place),
    severity: Severity.WARNING,
  };
}

/** Stands for the object of a problem about a file that holds none that can be named. */
function fileRef(file: string): ObjectRef {
  // A resource's name is at most 1,024 characters; the end of a path says more than its beginning.
  return { kind: file === '' ? 'Folder' : 'File', namespace: '', name: escapeUnprintable(file).slice(-600) || '.' };
}
