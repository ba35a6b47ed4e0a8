import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../lib/log.ts';
import { resource } from '../../lib/sync/index.ts';
import type { AcceptedDelta, Resource, ResourceKey } from '../../lib/sync/index.ts';
import { openLedger } from './open-ledger.ts';

const epoch = { counter: 1n, id: 'first' };
let root: string;
let folder: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'headgate-ledger-'));
  folder = join(root, 'ledger');
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

function open() {
  return openLedger({ folder, keyFile: join(root, 'key'), log: silentLog });
}

function delta(revision: number, upserts: readonly Resource[], removals: readonly ResourceKey[] = []): AcceptedDelta {
  return { epoch, revision: BigInt(revision), endOfSnapshot: false, upserts, removals };
}

function host(name: string, text = name): Resource {
  return resource('host', name, Buffer.from(text));
}

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] ?? 0) ^ 0x10;
  await writeFile(path, bytes);
}

describe('a ledger', () => {
  it('starts empty and gives back what was committed, in order', async () => {
    {
      await using ledger = await open();
      expect(ledger.loaded).toEqual({ from: 'empty', problem: undefined });
      expect(ledger.held()).toBeUndefined();
      await ledger.commit(delta(1, [host('a'), host('b')]));
      await ledger.commit(delta(2, [host('a', 'second')], [{ type: 'host', name: 'b' }]));
      await ledger.commitLocal({ upserts: [resource('local-slot', 's0001', Buffer.from('x'))], removals: [] });
    }
    await using ledger = await open();
    expect(ledger.loaded).toEqual({ from: 'current', problem: undefined });
    expect(ledger.held()).toEqual({ epoch, revision: 2n });
    expect([...ledger.inventory.all()].map(({ name, body }) => [name, Buffer.from(body).toString()])).toEqual([
      ['a', 'second'],
      ['s0001', 'x'],
    ]);
  });

  it('is private to its user', async () => {
    await using ledger = await open();
    await ledger.commit(delta(1, [host('a')]));
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(join(root, 'key'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'current', 'journal'))).mode & 0o777).toBe(0o600);
  });

  it('refuses types that are not its caller’s', async () => {
    await using ledger = await open();
    await expect(ledger.commit(delta(1, [resource('local-slot', 'x', Buffer.from(''))]))).rejects.toMatchObject({
      code: 'HG3006',
    });
    await expect(ledger.commitLocal({ upserts: [host('a')], removals: [] })).rejects.toMatchObject({ code: 'HG9001' });
  });

  it('is held by one process at a time', async () => {
    await using ledger = await open();
    expect(ledger.loaded.from).toBe('empty');
    await expect(open()).rejects.toMatchObject({ code: 'HG2003', message: expect.stringContaining('another agent') });
  });

  it('folds a long journal into a new generation that shares no file with the previous', async () => {
    const big = Buffer.alloc(1 << 20, 'x');
    {
      await using ledger = await open();
      for (let revision = 1; revision <= 10; revision++) {
        await ledger.commit(delta(revision, [resource('host', `h${revision}`, big)]));
      }
    }
    const [current, previous] = await Promise.all(['current', 'previous'].map((one) => inodes(join(folder, one))));
    expect(previous).toHaveLength(2);
    expect(current?.filter((inode) => previous?.includes(inode))).toEqual([]);
    await using ledger = await open();
    expect(ledger.inventory.size).toBe(10);
  });

  it('loads 2,000 resources in far less than the time a start may take', async () => {
    {
      await using ledger = await open();
      const all = Array.from({ length: 2_000 }, (_, index) => host(`h${index}.example`, 'x'.repeat(2_000)));
      await ledger.commit(delta(1, all));
    }
    const before = performance.now();
    await using ledger = await open();
    expect(ledger.inventory.size).toBe(2_000);
    expect(performance.now() - before).toBeLessThan(1_000);
  });
});

async function inodes(path: string): Promise<number[]> {
  return Promise.all((await readdir(path)).map(async (name) => (await stat(join(path, name))).ino));
}

/** A first generation with `a`, folded, then `b` in the journal of the second. */
async function twoGenerations(): Promise<void> {
  {
    await using ledger = await open();
    await ledger.commit(delta(1, [host('a'), resource('host', 'big', Buffer.alloc(5 << 20, 'x'))]));
  }
  await using ledger = await open();
  await ledger.commit(delta(2, [host('b')]));
  await ledger.commit(delta(3, [host('c')]));
}

describe('a damaged ledger', () => {
  it('drops the end of a journal that was cut short', async () => {
    await twoGenerations();
    const journal = join(folder, 'current', 'journal');
    await truncate(journal, (await stat(journal)).size - 3);
    {
      await using ledger = await open();
      expect(ledger.loaded.from).toBe('current');
      expect(ledger.loaded.problem).toContain('unfinished write');
      expect(ledger.held()?.revision).toBe(2n);
      await ledger.commit(delta(4, [host('d')]));
    }
    await using again = await open();
    expect(again.loaded.problem).toBeUndefined();
    expect(again.inventory.get('host', 'c')).toBeUndefined();
    expect(again.inventory.get('host', 'd')).toBeDefined();
  });

  it.each([
    ['snapshot', 5],
    ['snapshot', 1_000],
    ['snapshot', -5],
    ['journal', 1],
    ['journal', 20],
  ])('falls back to the previous generation when a bit of the %s flips at %i', async (file, at) => {
    await twoGenerations();
    await flip(join(folder, 'current', file), at);
    {
      await using ledger = await open();
      expect(ledger.loaded.from).toBe('previous');
      expect(ledger.loaded.problem).toContain('current');
      expect(ledger.held()?.revision).toBe(1n);
      expect(ledger.inventory.get('host', 'a')).toBeDefined();
      await ledger.commit(delta(5, [host('e')]));
    }
    await using again = await open();
    expect(again.loaded).toEqual({ from: 'current', problem: undefined });
    expect(again.inventory.get('host', 'e')).toBeDefined();
  });

  it('falls back when the current generation is missing', async () => {
    await twoGenerations();
    await rm(join(folder, 'current'), { recursive: true });
    await using ledger = await open();
    expect(ledger.loaded).toEqual({ from: 'previous', problem: 'current: missing' });
    expect(ledger.inventory.get('host', 'a')).toBeDefined();
  });

  it('starts empty and says so when both generations are damaged', async () => {
    await twoGenerations();
    await flip(join(folder, 'current', 'snapshot'), 30);
    await flip(join(folder, 'previous', 'snapshot'), 5);
    await using ledger = await open();
    expect(ledger.loaded.from).toBe('empty');
    expect(ledger.loaded.problem).toMatch(/current: .*previous: /);
    expect(ledger.inventory.size).toBe(0);
  });
});

describe('private keys in the ledger', () => {
  const secret = 'BEGIN PRIVATE KEY of nobody';
  const certificate = resource('own-certificate', 'shop/tls', Buffer.from(secret));

  it('are sealed, on the disk they cannot be read', async () => {
    {
      await using ledger = await open();
      await ledger.commit(delta(1, [certificate]));
    }
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const texts = await Promise.all(
      entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => readFile(join(parentPath, name))),
    );
    expect(texts.some((text) => text.includes('shop/tls'))).toBe(true);
    expect(texts.some((text) => text.includes(secret))).toBe(false);
    await using ledger = await open();
    expect(ledger.inventory.get('own-certificate', 'shop/tls')).toEqual(certificate);
  });

  it('are dropped by count when the key file is another; the rest stays', async () => {
    {
      await using ledger = await open();
      await ledger.commit(delta(1, [certificate, host('a')]));
    }
    await writeFile(join(root, 'key'), Buffer.alloc(32, 1).toString('base64'));
    await using ledger = await open();
    expect(ledger.loaded.problem).toContain('1 sealed resources cannot be opened');
    expect([...ledger.inventory.all()]).toEqual([host('a')]);
  });

  it('are refused with a key file that holds no key', async () => {
    await writeFile(join(root, 'key'), 'short');
    await expect(open()).rejects.toMatchObject({ code: 'HG2003', message: expect.stringContaining('instead of 32') });
  });
});

describe('a disk that takes no writes', () => {
  it('stops a first start with one line', async () => {
    await writeFile(folder, 'a file where the folder should be');
    await expect(open()).rejects.toMatchObject({ code: 'HG2003', remedy: expect.stringContaining('--data') });
  });
});

it('loses nothing acknowledged when its process is killed', { timeout: 120_000 }, async () => {
  const program = `
    import { openLedger } from ${JSON.stringify(new URL('open-ledger.ts', import.meta.url).href)};
    import { silentLog } from ${JSON.stringify(new URL('../../lib/log.ts', import.meta.url).href)};
    import { resource } from ${JSON.stringify(new URL('../../lib/sync/index.ts', import.meta.url).href)};
    const ledger = await openLedger({ folder: ${JSON.stringify(folder)}, keyFile: ${JSON.stringify(join(root, 'key'))}, log: silentLog });
    for (let n = (ledger.held()?.revision ?? 0n) + 1n; ; n++) {
      const body = Buffer.alloc(300_000, String(n));
      await ledger.commit({ epoch: { counter: 1n, id: 'e' }, revision: n, endOfSnapshot: false, removals: [],
        upserts: [resource('host', 'h' + (n % 7n), body), resource('host', 'twin' + (n % 7n), body)] });
      process.stdout.write(n + '\\n');
    }`;
  let acknowledged = 0n;
  for (let round = 0; round < 20; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const kills = 1 + Math.floor(Math.random() * 15);
    let seen = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = BigInt(line);
      if (++seen === kills) child.kill('SIGKILL');
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    await using ledger = await open();
    const revision = ledger.held()?.revision ?? 0n;
    expect(revision).toBeGreaterThanOrEqual(acknowledged);
    expect(ledger.loaded.from).not.toBe('empty');
    const [one, twin] = ['h', 'twin'].map((name) => ledger.inventory.get('host', `${name}${revision % 7n}`));
    expect(one?.digest).toBe(twin?.digest);
  }
});
