import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock as clock } from '../../lib/clock.ts';
import { silentLog as log } from '../../lib/log.ts';
import { beginEpoch } from './begin-epoch.ts';
import { openEmbeddedStore } from './embedded.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-epoch-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const record = () => ({ kind: 'put', key: 'audit/1', value: Buffer.from('{}') }) as const;

test('a stopped store gets the next epoch and a record of it, and keeps what it holds', async () => {
  const before = await (async () => {
    await using store = await openEmbeddedStore({ folder, clock, log });
    await store.transact({ operations: [{ kind: 'put', key: 'a', value: Buffer.from('1') }] });
    return await store.epoch();
  })();
  const begun = await beginEpoch({ store: { kind: 'embedded', folder }, clock, log, record });
  expect(begun.counter).toBe(before.counter + 1n);
  expect(begun.id).not.toBe(before.id);
  await using store = await openEmbeddedStore({ folder, clock, log });
  expect(await store.epoch()).toEqual(begun);
  expect((await store.range('')).entries.map(({ key }) => key)).toEqual(['a', 'audit/1']);
});

test('where there is no store none is made', async () => {
  await expect(beginEpoch({ store: { kind: 'embedded', folder }, clock, log, record })).rejects.toMatchObject({
    code: 'HG2003',
  });
  expect(readdirSync(folder)).toEqual([]);
});

test('the store of a running hub is left alone', async () => {
  await using store = await openEmbeddedStore({ folder, clock, log });
  const epoch = await store.epoch();
  await expect(beginEpoch({ store: { kind: 'embedded', folder }, clock, log, record })).rejects.toMatchObject({
    code: 'HG2003',
  });
  expect(await store.epoch()).toEqual(epoch);
});
