import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { storeContract } from './contract.fixture.ts';
import { openEmbeddedStore } from './embedded.ts';
import type { Store } from './store.ts';

const HISTORY = { revisions: 200, bytes: 4 << 20 };

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'headgate-store-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const open = (folder: string): Promise<Store> =>
  openEmbeddedStore({ folder, clock: systemClock, log: silentLog, history: HISTORY });

storeContract('embedded store', async () => {
  const folder = await temporaryFolder();
  let store = await open(folder.path);
  return {
    store: () => store,
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      return (store = await open(folder.path));
    },
    compact: async () => {
      for (let i = 0; i <= HISTORY.revisions; i++)
        await store.transact({ operations: [{ kind: 'put', key: 'filler', value: Buffer.from(String(i)) }] });
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
});

describe('embedded store', () => {
  test('belongs to one hub at a time', async () => {
    await using folder = await temporaryFolder();
    await using store = await open(folder.path);
    expect((await store.range('')).revision).toBe(0n);
    await expect(open(folder.path)).rejects.toMatchObject({
      code: 'HG2003',
      message: expect.stringContaining('in use by another hub'),
    });
    const other = spawnSync(process.execPath, ['--input-type=module', '-e', opener(folder.path)], { encoding: 'utf8' });
    expect(other.stdout).toMatch(/^HG2003 the store in '.*' is in use by another hub; /);
  });

  test('is nobody else’s to read', async () => {
    await using folder = await temporaryFolder();
    await using store = await open(folder.path);
    await store.transact({ operations: [{ kind: 'put', key: 'a', value: Buffer.from('x') }] });
    const files = await readdir(folder.path);
    const modes = await Promise.all(files.map(async (file) => (await stat(join(folder.path, file))).mode & 0o077));
    expect(files).toContain('store.db');
    expect(modes).toEqual(files.map(() => 0));
  });

  test('refuses a folder that it cannot use', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'file');
    await writeFile(file, '');
    await expect(open(join(file, 'data'))).rejects.toMatchObject({ code: 'HG2003' });
    await mkdir(join(folder.path, 'odd', 'store.db'), { recursive: true });
    await expect(open(join(folder.path, 'odd'))).rejects.toMatchObject({ code: 'HG2003' });
  });

  test('refuses a full disk with one line, at the start and while it runs', async () => {
    await using folder = await temporaryFolder();
    // A limit on file size fails writes as a full disk does.
    const limited = (kib: number): string =>
      spawnSync(
        'sh',
        ['-c', `ulimit -f ${kib * 2}; exec "$0" --input-type=module -e "$1"`, process.execPath, opener(folder.path)],
        { encoding: 'utf8' },
      ).stdout;
    expect(limited(0)).toMatch(/^HG2003 /);
    expect(limited(200)).toMatch(/^[1-9][0-9]* written, then HG4001 /);
    await using store = await open(folder.path);
    expect((await store.range('k/')).entries.length).toBeGreaterThan(0);
  });

  test('refuses a damaged file, and leaves it as it is', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'store.db');
    await writeFile(file, 'no database at all, but long enough to be one'.repeat(100));
    await expect(open(folder.path)).rejects.toMatchObject({ code: 'HG4003' });
    expect(await readFile(file, 'utf8')).toContain('no database at all');

    await using second = await temporaryFolder();
    const store = await open(second.path);
    for (let i = 0; i < 50; i++)
      await store.transact({ operations: [{ kind: 'put', key: `k/${i}`, value: Buffer.alloc(4_000, 'x') }] });
    await store[Symbol.asyncDispose]();
    const bytes = await readFile(join(second.path, 'store.db'));
    bytes.fill(0xaa, 8_192, 60_000);
    await writeFile(join(second.path, 'store.db'), bytes);
    await expect(open(second.path)).rejects.toMatchObject({ code: 'HG4003' });
  });

  test('refuses a file that a newer version wrote', async () => {
    await using folder = await temporaryFolder();
    const { DatabaseSync } = await import('node:sqlite');
    using database = new DatabaseSync(join(folder.path, 'store.db'));
    database.exec('PRAGMA user_version = 99');
    database.close();
    await expect(open(folder.path)).rejects.toMatchObject({
      code: 'HG2003',
      message: expect.stringContaining('newer Headgate'),
    });
  });

  test('a write with an ended lease fails alone in its group', async () => {
    await using folder = await temporaryFolder();
    await using store = await open(folder.path);
    const lease = await store.lease(1_000);
    await lease[Symbol.asyncDispose]();
    const outcomes = await Promise.allSettled([
      store.transact({ operations: [{ kind: 'put', key: 'a', value: Buffer.from('x') }] }),
      store.transact({ operations: [{ kind: 'put', key: 'b', value: Buffer.from('x'), lease }] }),
      store.transact({ operations: [{ kind: 'put', key: 'c', value: Buffer.from('x') }] }),
    ]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await store.range('')).toMatchObject({ revision: 2n, entries: [{ key: 'a' }, { key: 'c' }] });
  });

  test('commits what was queued when it is closed', async () => {
    await using folder = await temporaryFolder();
    const store = await open(folder.path);
    const write = store.transact({ operations: [{ kind: 'put', key: 'a', value: Buffer.from('x') }] });
    await store[Symbol.asyncDispose]();
    expect(await write).toEqual({ committed: true, revision: 1n });
    await expect(store.get('a')).rejects.toMatchObject({ code: 'HG4001' });
  });
});

/** Opens the store, writes until it fails or 1,000 times, and prints what came of it. */
function opener(folder: string): string {
  return `
    import { openEmbeddedStore } from ${url('./embedded.ts')};
    import { systemClock } from ${url('../../lib/clock.ts')};
    import { silentLog } from ${url('../../lib/log.ts')};
    try {
      const store = await openEmbeddedStore({ folder: ${JSON.stringify(folder)}, clock: systemClock, log: silentLog });
      let written = 0;
      try {
        for (; written < 1000; written++)
          await store.transact({ operations: [{ kind: 'put', key: 'k/' + written, value: Buffer.alloc(1000) }] });
        process.stdout.write('all written');
      } catch (error) {
        process.stdout.write(written + ' written, then ' + error.line());
      }
    } catch (error) {
      process.stdout.write(error.line());
    }
  `;
}

function url(path: string): string {
  return JSON.stringify(new URL(path, import.meta.url).href);
}
