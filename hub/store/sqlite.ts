import { accessSync, closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HeadgateError } from '../../lib/errors.ts';

/** Rises when the tables change; a file with a higher one was written by a newer Headgate. */
const SCHEMA_VERSION = 1;

/** SQLite's primary result codes (sqlite.org/rescode.html) that are told apart here. */
const BUSY = 5;
const LOCKED = 6;
const CORRUPT = 11;
const FULL = 13;
const NOT_A_DATABASE = 26;

/**
 * Opens `<folder>/store.db` for this process alone, makes it where it is missing, and checks it.
 * Throws HG2003 (folder not usable, full, or in use by another hub) or HG4003 (file damaged).
 */
export function openDatabase(folder: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.R_OK | constants.W_OK);
    const file = join(folder, 'store.db');
    makePrivate(file);
    database = new DatabaseSync(file);
    // Before WAL is touched: the lock is then held until the file is closed, and dies with the process.
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    database.exec('PRAGMA journal_mode = WAL');
    // FULL: a commit returns after fsync of the log.
    database.exec('PRAGMA synchronous = FULL');
    database.exec('BEGIN EXCLUSIVE');
    migrate(database, folder);
    // A write even where nothing changes: a full disk is found at the start.
    database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    database.exec('COMMIT');
    checkIntegrity(database, folder);
    return database;
  } catch (thrown) {
    if (database?.isOpen === true) database.close();
    throw openError(thrown, folder);
  }
}

/**
 * A new file is nobody else's to read, also in a folder that others may enter; SQLite gives its other files the
 * same mode. One that is there is not opened: closing it would end the locks that this process has on it
 * (fcntl(2)).
 */
function makePrivate(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600));
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown;
  }
}

function migrate(database: DatabaseSync, folder: string): void {
  const found = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (found > SCHEMA_VERSION)
    throw new HeadgateError('HG2003', `the store in '${folder}' was written by a newer Headgate`, {
      remedy: 'start that version or a later one',
    });
  // Keys are BLOBs: ordered by byte, whatever characters they hold. `lease` is null for a key without one.
  database.exec(`
    CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS entries (
      key BLOB NOT NULL PRIMARY KEY,
      value BLOB NOT NULL,
      created INTEGER NOT NULL,
      modified INTEGER NOT NULL,
      lease TEXT
    ) STRICT;
    CREATE INDEX IF NOT EXISTS leased ON entries (lease) WHERE lease IS NOT NULL;
  `);
}

function checkIntegrity(database: DatabaseSync, folder: string): void {
  const verdict = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
  if (verdict !== 'ok') throw corrupt(folder, new Error(String(verdict)));
}

function openError(thrown: unknown, folder: string): HeadgateError {
  if (thrown instanceof HeadgateError) return thrown;
  switch (primaryCode(thrown)) {
    case BUSY:
    case LOCKED:
      return new HeadgateError('HG2003', `the store in '${folder}' is in use by another hub`, {
        cause: thrown,
        remedy: 'stop that hub, or give this one a folder of its own',
      });
    case CORRUPT:
    case NOT_A_DATABASE:
      return corrupt(folder, thrown);
    case FULL:
      return new HeadgateError('HG2003', `the disk of data folder '${folder}' is full`, {
        cause: thrown,
        remedy: 'free some space',
      });
    default:
      return new HeadgateError('HG2003', `the data folder '${folder}' cannot be read and written: ${text(thrown)}`, {
        cause: thrown,
        remedy: 'give a folder on a disk with space that this user may write',
      });
  }
}

function corrupt(folder: string, cause: unknown): HeadgateError {
  return new HeadgateError('HG4003', `the store in '${folder}' is damaged`, {
    cause,
    remedy: 'restore store.db from a backup, then run `headgate store epoch --new`',
  });
}

/** What a statement threw while the store is open. */
export function statementError(thrown: unknown, doing: string): HeadgateError {
  if (thrown instanceof HeadgateError) return thrown;
  switch (primaryCode(thrown)) {
    case CORRUPT:
    case NOT_A_DATABASE:
      return new HeadgateError('HG4003', `cannot ${doing}: the store is damaged`, { cause: thrown });
    case FULL:
      return new HeadgateError('HG4001', `cannot ${doing}: the store's disk is full`, {
        cause: thrown,
        remedy: 'free some space',
      });
    default:
      return new HeadgateError('HG4001', `cannot ${doing}: ${text(thrown)}`, { cause: thrown });
  }
}

function primaryCode(thrown: unknown): number | undefined {
  return thrown instanceof Error && 'errcode' in thrown && typeof thrown.errcode === 'number'
    ? thrown.errcode & 0xff
    : undefined;
}

function text(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
