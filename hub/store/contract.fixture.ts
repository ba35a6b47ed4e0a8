import { describe, expect, test } from 'vitest';
import type { Change, Commit, Operation, Store, WatchBatch } from './store.ts';
import { transactionLimits } from './store.ts';

/** One store under test and what only its implementation knows how to do. */
export interface StoreUnderTest extends AsyncDisposable {
  /** The present handle on the store. */
  store(): Store;
  /** Closes the handle and opens another on the same data; leases of the old one have ended when it resolves. */
  reopen(): Promise<Store>;
  /** Forgets the history up to the present revision, as far as the implementation ever does. */
  compact(): Promise<void>;
}

/**
 * What every store must do; each implementation runs it beside its own tests.
 *
 * @param open an empty store.
 */
export function storeContract(name: string, open: () => Promise<StoreUnderTest>): void {
  const it = test.extend<{ under: StoreUnderTest; store: Store }>({
    // eslint-disable-next-line no-empty-pattern -- vitest reads the wanted fixtures from the pattern
    under: async ({}, use) => {
      await using under = await open();
      await use(under);
    },
    store: async ({ under }, use) => use(under.store()),
  });

  describe(`${name}: transactions`, () => {
    it('keeps the create revision over edits and starts anew after a deletion', async ({ store }) => {
      const first = await committed(store, put('a', '1'));
      const second = await committed(store, put('a', '2'));
      expect(second).toBe(first + 1n);
      expect(await store.get('a')).toMatchObject({ createRevision: first, modRevision: second });
      expect(text((await store.get('a'))?.value)).toBe('2');
      await committed(store, { kind: 'delete', key: 'a' });
      expect(await store.get('a')).toBeUndefined();
      const again = await committed(store, put('a', '3'));
      expect(again).toBe(first + 3n);
      expect(await store.get('a')).toMatchObject({ createRevision: again, modRevision: again });
    });

    it('gives all writes of a transaction one revision', async ({ store }) => {
      const revision = await committed(store, put('a', '1'), put('b', '2'), put('c', '3'));
      const page = await store.range('');
      expect(page.revision).toBe(revision);
      expect(page.entries.map((entry) => entry.modRevision)).toEqual([revision, revision, revision]);
    });

    it('commits a transaction that changes nothing without a new revision', async ({ store }) => {
      const revision = await committed(store, put('a', '1'));
      expect(await committed(store)).toBe(revision);
      expect(await committed(store, { kind: 'delete', key: 'absent' })).toBe(revision);
      expect(await committed(store, put('b', '1'))).toBe(revision + 1n);
    });

    it('writes nothing when one condition fails', async ({ store }) => {
      const revision = await committed(store, put('a', '1'));
      const refused = await store.transact({
        conditions: [
          { key: 'a', modRevision: revision },
          { key: 'b', createRevision: 1n },
        ],
        operations: [put('a', '2'), put('c', '3')],
      });
      expect(refused).toEqual({ committed: false });
      expect(await store.range('')).toMatchObject({ revision, entries: [{ key: 'a' }] });
    });

    it('compares create and mod revisions, 0 being absence', async ({ store }) => {
      const holds = async (condition: { createRevision: bigint } | { modRevision: bigint }): Promise<boolean> =>
        (await store.transact({ conditions: [{ key: 'a', ...condition }], operations: [] })).committed;
      expect(await holds({ createRevision: 0n })).toBe(true);
      expect(await holds({ modRevision: 0n })).toBe(true);
      const created = await committed(store, put('a', '1'));
      const modified = await committed(store, put('a', '2'));
      expect(await holds({ createRevision: 0n })).toBe(false);
      expect(await holds({ createRevision: created })).toBe(true);
      expect(await holds({ createRevision: modified })).toBe(false);
      expect(await holds({ modRevision: modified })).toBe(true);
      expect(await holds({ modRevision: created })).toBe(false);
    });

    it('lets one of many concurrent compare-and-sets through, and loses no increment', async ({ store }) => {
      const created = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          store.transact({
            conditions: [{ key: 'counter', createRevision: 0n }],
            operations: [put('counter', '0'), put('winner', String(index))],
          }),
        ),
      );
      expect(created.filter((commit) => commit.committed)).toHaveLength(1);
      await Promise.all(Array.from({ length: 20 }, () => increment(store, 'counter')));
      expect(text((await store.get('counter'))?.value)).toBe('20');
    });

    it('numbers concurrent transactions without gap or twin', async ({ store }) => {
      const start = (await store.range('')).revision;
      const commits = await Promise.all(Array.from({ length: 50 }, (_, i) => committed(store, put(`k/${i}`, 'x'))));
      expect(commits.sort((a, b) => Number(a - b))).toEqual(
        Array.from({ length: 50 }, (_, i) => start + BigInt(i) + 1n),
      );
    });

    it('takes a transaction at its limits and refuses one beyond', async ({ store }) => {
      const many = Array.from({ length: transactionLimits.operations }, (_, i) => put(`k/${i}`, 'x'));
      await committed(store, ...many);
      await expect(store.transact({ operations: [...many, put('more', 'x')] })).rejects.toMatchObject({
        code: 'HG9001',
      });
      const large = Buffer.alloc(transactionLimits.bytes - 1, 'x');
      await committed(store, { kind: 'put', key: 'large', value: large });
      expect(Buffer.compare((await store.get('large'))?.value ?? Buffer.alloc(0), large)).toBe(0);
      await expect(
        store.transact({
          operations: [{ kind: 'put', key: 'large', value: Buffer.alloc(transactionLimits.bytes + 1) }],
        }),
      ).rejects.toMatchObject({ code: 'HG9001' });
      await expect(store.transact({ operations: [put('a', '1'), put('a', '2')] })).rejects.toMatchObject({
        code: 'HG9001',
      });
      await expect(store.transact({ operations: [put('', '1')] })).rejects.toMatchObject({ code: 'HG9001' });
      await expect(store.transact({ operations: [put('\ud800', '1')] })).rejects.toMatchObject({ code: 'HG9001' });
    });

    it('keeps what it was given, not what the caller makes of it later', async ({ store }) => {
      const value = Buffer.from('before');
      await committed(store, { kind: 'put', key: 'a', value });
      value.fill('x');
      expect(text((await store.get('a'))?.value)).toBe('before');
    });
  });

  describe(`${name}: keys`, () => {
    const odd = [
      '%',
      '_',
      '\\',
      "'",
      '"',
      ' ',
      '\t',
      '\n',
      '\0',
      '*.x',
      'ä',
      '😀',
      '\uffff',
      '~',
      '\x7f',
      "'; DROP TABLE",
    ];

    it('keeps keys of any characters apart', async ({ store }) => {
      for (const key of odd) await committed(store, put(`odd/${key}`, key));
      for (const key of odd) {
        expect(text((await store.get(`odd/${key}`))?.value)).toBe(key);
        expect((await store.range(`odd/${key}`)).entries.map((entry) => entry.key)).toContain(`odd/${key}`);
      }
      const page = await store.range('odd/');
      const byBytes = odd.map((key) => `odd/${key}`).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(page.entries.map((entry) => entry.key)).toEqual(byBytes);
    });

    it('keeps to its prefix at both edges', async ({ store }) => {
      await committed(
        store,
        ...['a', 'a/', 'a/0', 'a/z', 'a/\uffff', 'a/😀', 'a0', 'a.', 'b'].map((key) => put(key, 'x')),
      );
      const found = (await store.range('a/')).entries.map((entry) => entry.key);
      expect(found).toEqual(['a/', 'a/0', 'a/z', 'a/\uffff', 'a/😀']);
      expect((await store.range('a/😀')).entries).toHaveLength(1);
      expect((await store.range('c')).entries).toEqual([]);
      expect((await store.range('')).entries).toHaveLength(9);
    });

    it('keeps empty and binary values', async ({ store }) => {
      const binary = Uint8Array.from({ length: 256 }, (_, i) => i);
      await committed(store, { kind: 'put', key: 'bin', value: binary }, put('empty', ''));
      expect([...((await store.get('bin'))?.value ?? [])]).toEqual([...binary]);
      expect((await store.get('empty'))?.value).toHaveLength(0);
    });
  });

  describe(`${name}: watch`, () => {
    it('shows every change after its revision, in order, each once', async ({ store }) => {
      await committed(store, put('w/before', 'x'));
      const { revision } = await store.range('w/');
      await committed(store, put('w/1', 'a'), put('w/2', 'b'));
      const stop = new AbortController();
      const seen = collect(store, 'w/', revision, stop.signal, 4);
      await committed(store, put('other', 'x'));
      await committed(store, put('w/1', 'c'), put('other', 'y'));
      await committed(store, { kind: 'delete', key: 'w/absent' });
      await committed(store, { kind: 'delete', key: 'w/2' });
      await committed(store, put('w/3', 'd'));
      const batches = await seen;
      expect(batches.map((batch) => batch.revision - revision)).toEqual([1n, 3n, 4n, 5n]);
      expect(batches.map((batch) => batch.changes.map(show))).toEqual([
        ['w/1=a', 'w/2=b'],
        ['w/1=c'],
        ['w/2 deleted'],
        ['w/3=d'],
      ]);
      const entry = batches[1]?.changes[0];
      expect(entry).toMatchObject({ entry: { createRevision: revision + 1n, modRevision: revision + 3n } });
    });

    it('agrees with a listing whenever it starts, under concurrent writers', async ({ store }) => {
      const write = async (writer: number): Promise<void> => {
        for (let i = 0; i < 30; i++) {
          const key = `k/${(writer * 7 + i) % 11}`;
          await committed(store, i % 4 === 3 ? { kind: 'delete', key } : put(key, `${writer}.${i}`));
        }
      };
      const writers = Promise.all([write(1), write(2), write(3)]);
      await committed(store, put('k/0', 'begin'));
      const page = await store.range('k/');
      const model = new Map(page.entries.map((entry) => [entry.key, text(entry.value)]));
      const stop = new AbortController();
      const following = (async () => {
        for await (const batch of store.watch('', page.revision, stop.signal)) {
          for (const change of batch.changes) {
            if (change.kind === 'put') model.set(change.entry.key, text(change.entry.value));
            else model.delete(change.key);
          }
          if (model.has('end')) return;
        }
      })();
      await writers;
      await committed(store, put('end', 'x'));
      await following;
      const now = await store.range('');
      expect(model).toEqual(new Map(now.entries.map((entry) => [entry.key, text(entry.value)])));
    });

    it('ends when its signal is aborted, also while it waits', async ({ store }) => {
      const stop = new AbortController();
      const seen = collect(store, 'w/', 0n, stop.signal, 1);
      stop.abort();
      expect(await seen).toEqual([]);
      expect(await collect(store, 'w/', 0n, AbortSignal.abort(), 1)).toEqual([]);
    });

    it('says HG4002 when the history is gone, and a listing then leads on', async ({ store, under }) => {
      const revision = await committed(store, put('w/1', 'a'));
      await committed(store, put('w/2', 'b'));
      await under.compact();
      const signal = new AbortController().signal;
      await expect(collect(store, 'w/', revision, signal, 1)).rejects.toMatchObject({ code: 'HG4002' });
      const page = await store.range('w/');
      expect(page.entries.map((entry) => entry.key)).toEqual(['w/1', 'w/2']);
      const seen = collect(store, 'w/', page.revision, signal, 1);
      await committed(store, put('w/3', 'c'));
      expect((await seen)[0]?.changes.map(show)).toEqual(['w/3=c']);
    });

    it('says HG4002 to a watcher whose store is closed', async ({ store, under }) => {
      const { revision } = await store.range('');
      const seen = collect(store, '', revision, new AbortController().signal, 1);
      const ended = Promise.allSettled([seen]);
      await under.reopen();
      expect(await ended).toMatchObject([{ status: 'rejected', reason: { code: 'HG4002' } }]);
    });
  });

  describe(`${name}: leases`, () => {
    it('takes leased keys away when the lease ends, and no others', async ({ store }) => {
      const lease = await store.lease(10_000);
      const other = await store.lease(10_000);
      await committed(store, { kind: 'put', key: 'l/1', value: Buffer.from('x'), lease }, put('l/plain', 'x'));
      await committed(store, { kind: 'put', key: 'l/2', value: Buffer.from('x'), lease });
      await committed(store, { kind: 'put', key: 'l/3', value: Buffer.from('x'), lease: other });
      // A later write without the lease, or with another one, unties the key from it.
      await committed(store, { kind: 'put', key: 'l/4', value: Buffer.from('x'), lease });
      await committed(store, put('l/4', 'kept'));
      const { revision } = await store.range('');
      const gone = collect(store, 'l/', revision, new AbortController().signal, 1);
      expect(lease.lost.aborted).toBe(false);
      await lease[Symbol.asyncDispose]();
      expect(lease.lost.aborted).toBe(true);
      expect((await gone)[0]?.changes.map(show)).toEqual(['l/1 deleted', 'l/2 deleted']);
      expect((await store.range('l/')).entries.map((entry) => entry.key)).toEqual(['l/3', 'l/4', 'l/plain']);
      await lease[Symbol.asyncDispose]();
      await expect(
        store.transact({ operations: [{ kind: 'put', key: 'late', value: Buffer.from('x'), lease }] }),
      ).rejects.toMatchObject({ code: 'HG4001' });
      await other[Symbol.asyncDispose]();
    });

    it('ends leases when their holder goes', async ({ store, under }) => {
      const lease = await store.lease(1_000);
      await committed(store, { kind: 'put', key: 'l/1', value: Buffer.from('x'), lease }, put('l/plain', 'x'));
      const again = await under.reopen();
      expect(lease.lost.aborted).toBe(true);
      expect((await again.range('l/')).entries.map((entry) => entry.key)).toEqual(['l/plain']);
    });
  });

  describe(`${name}: history`, () => {
    it('keeps entries, revisions and epoch when it is opened again', async ({ store, under }) => {
      const revision = await committed(store, put('a', '1'));
      const epoch = await store.epoch();
      expect(epoch.counter).toBeGreaterThan(0n);
      const again = await under.reopen();
      expect(await again.epoch()).toEqual(epoch);
      expect(await again.get('a')).toMatchObject({ createRevision: revision, modRevision: revision });
      expect(await committed(again, put('b', '1'))).toBeGreaterThan(revision);
    });

    it('renews its epoch for good', async ({ store, under }) => {
      const epoch = await store.epoch();
      const renewed = await store.renewEpoch();
      expect(renewed.counter).toBe(epoch.counter + 1n);
      expect(renewed.id).not.toBe(epoch.id);
      expect(await store.epoch()).toEqual(renewed);
      const again = await under.reopen();
      expect(await again.epoch()).toEqual(renewed);
    });
  });
}

function put(key: string, value: string): Operation {
  return { kind: 'put', key, value: Buffer.from(value) };
}

function text(value: Uint8Array | undefined): string {
  return Buffer.from(value ?? []).toString();
}

function show(change: Change): string {
  return change.kind === 'put' ? `${change.entry.key}=${text(change.entry.value)}` : `${change.key} deleted`;
}

async function committed(store: Store, ...operations: Operation[]): Promise<bigint> {
  const commit: Commit = await store.transact({ operations });
  if (!commit.committed) throw new Error('a transaction without conditions was refused');
  return commit.revision;
}

async function increment(store: Store, key: string): Promise<void> {
  for (;;) {
    const entry = await store.get(key);
    const commit = await store.transact({
      conditions: [{ key, modRevision: entry?.modRevision ?? 0n }],
      operations: [put(key, String(Number(text(entry?.value)) + 1))],
    });
    if (commit.committed) return;
  }
}

/** The first `count` batches, or fewer when the signal is aborted. */
async function collect(
  store: Store,
  prefix: string,
  revision: bigint,
  signal: AbortSignal,
  count: number,
): Promise<WatchBatch[]> {
  const batches: WatchBatch[] = [];
  for await (const batch of store.watch(prefix, revision, signal)) {
    if (batches.push(batch) === count) break;
  }
  return batches;
}
