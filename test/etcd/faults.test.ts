import { expect, test } from 'vitest';
import type { Store, WatchBatch } from '../../hub/store/store.ts';
import { EtcdGround } from './ground/etcd-ground.ts';

/** How a write ended, and after how many milliseconds. */
async function write(store: Store, key: string): Promise<{ readonly code: string | undefined; readonly ms: number }> {
  const started = performance.now();
  const operations = [{ kind: 'put', key, value: Buffer.from('x') }] as const;
  const code = await store.transact({ operations }).then(
    () => undefined,
    (error: { code: string }) => error.code,
  );
  return { code, ms: performance.now() - started };
}

async function untilWritten(store: Store, key: string): Promise<void> {
  while ((await write(store, key)).code !== undefined);
}

test('a paused etcd: writes fail within 5 s, watches say so, and all goes on when it wakes', async () => {
  await using ground = await EtcdGround.start();
  await using store = await ground.open();
  const { revision } = await store.range('');
  const watching = (async (): Promise<WatchBatch[]> => {
    const batches: WatchBatch[] = [];
    for await (const batch of store.watch('', revision, new AbortController().signal)) batches.push(batch);
    return batches;
  })();
  const lost = watching.catch((error: unknown) => error);
  await untilWritten(store, 'before');
  ground.member(0).pause();
  const { code, ms } = await write(store, 'paused');
  expect(code).toBe('HG4001');
  expect(ms).toBeLessThan(6_000);
  expect(await lost).toMatchObject({ code: 'HG4002' });
  ground.member(0).resume();
  await untilWritten(store, 'after');
  expect((await store.range('')).entries.map(({ key }) => key)).toEqual(expect.arrayContaining(['before', 'after']));
});

test('one of three members lost at a time: writes go on, and without quorum fail within 5 s', async () => {
  await using ground = await EtcdGround.start({ members: 3 });
  await using store = await ground.open();
  await untilWritten(store, 'all');
  for (const member of [0, 1, 2]) {
    await ground.member(member).kill();
    await untilWritten(store, `without-${member}`);
    await ground.begin(member);
  }
  await Promise.all([ground.member(0).kill(), ground.member(1).kill()]);
  const { code, ms } = await write(store, 'no-quorum');
  expect(code).toBe('HG4001');
  expect(ms).toBeLessThan(6_000);
  await Promise.all([ground.begin(0), ground.begin(1)]);
  await untilWritten(store, 'again');
  expect((await store.range('without-')).entries).toHaveLength(3);
});
