import { describe, expect, test } from 'vitest';
import { resource } from '../../lib/sync/index.ts';
import { keys } from '../store/keys.ts';
import { forgetCluster } from './forget-cluster.ts';
import {
  claim,
  ingress,
  keysUnder,
  owners,
  Reporter,
  service,
  storedIngress,
  temporaryStore,
} from './ingest.fixture.ts';

const odd = (name: string, size = 1) => resource('odd', name, Buffer.alloc(size));

describe('a report', () => {
  test('is in the store when it is accepted, and in a new sink', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const eu = await Reporter.open(store, 'eu');
    expect(await eu.report([ingress('shop/web', 'shop.example/'), service('shop/web', 2)], [], true)).toEqual([]);
    expect(await keysUnder(store, 'report/')).toEqual(['report/eu/ingress/shop/web', 'report/eu/service/shop/web']);
    const again = await Reporter.open(store, 'eu');
    expect(again.inventory).toEqual(eu.inventory);
    await again.report([service('shop/web', 3)], [ingress('shop/web')]);
    expect((await Reporter.open(store, 'eu')).inventory).toEqual(['service/shop/web']);
    expect((await Reporter.open(store, 'us')).inventory).toEqual([]);
  });

  test('shares one revision where it fits one transaction, and comes in several where it does not', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const eu = await Reporter.open(store, 'eu');
    await eu.report(Array.from({ length: 40 }, (_, i) => ingress(`shop/i${i}`, `h${i}.example/`)));
    expect((await store.range('')).revision).toBe(1n);
    await eu.report(Array.from({ length: 400 }, (_, i) => service(`shop/s${i}`, 1)));
    expect((await store.range('')).revision).toBe(5n);
    expect(await keysUnder(store, 'report/')).toHaveLength(440);
    const hosts = Array.from({ length: 300 }, (_, i) => `wide${String(i).padStart(3, '0')}.example/`);
    await eu.report([ingress('wide/wide', ...hosts)]);
    expect(await owners(store)).toHaveLength(340);
  });

  test('refuses what is wrong by name, and stores the rest', async () => {
    await using temporary = await temporaryStore();
    const eu = await Reporter.open(temporary.store, 'eu');
    const refusals = await eu.report([
      ingress('shop/web', 'shop.example/'),
      ingress('shop/bad', 'Shop Example/'),
      resource('ingress', 'other/web', ingress('shop/web', 'shop.example/').body),
      resource('service', 'shop/web', Buffer.from([0xff, 0xff])),
      resource('own-certificate', 'shop/key', Buffer.from('secret')),
      resource('from-the-future', 'x', Buffer.from('anything')),
    ]);
    expect(refusals.map(({ type, name, error }) => `${type}/${name} ${error.code}`)).toEqual([
      'ingress/shop/bad HG1002',
      'ingress/other/web HG3006',
      'service/shop/web HG3006',
      'own-certificate/shop/key HG3006',
    ]);
    expect(eu.inventory).toEqual(['from-the-future/x', 'ingress/shop/web']);
  });

  test('takes a removal by its exact type and name only', async () => {
    await using temporary = await temporaryStore();
    const eu = await Reporter.open(temporary.store, 'eu');
    await eu.report([ingress('shop/web', 'shop.example/')]);
    await eu.report(
      [],
      [
        { type: 'ingress/shop', name: 'web' },
        { type: 'ingress', name: 'shop' },
        { type: '', name: '' },
      ],
    );
    expect(await keysUnder(temporary.store, 'report/')).toEqual(['report/eu/ingress/shop/web']);
  });

  test('a refused edit leaves the last good state', async () => {
    await using temporary = await temporaryStore();
    const eu = await Reporter.open(temporary.store, 'eu');
    await eu.report([ingress('shop/web', 'shop.example/')]);
    await eu.report([ingress('shop/web', 'not a host/')]);
    expect((await storedIngress(temporary.store, 'eu', 'shop/web'))?.value.rules[0]?.host).toBe('shop.example');
  });

  test('stays within its cluster’s limits', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const eu = await Reporter.open(store, 'eu', { resources: 3, bytes: 10_000, unknown: 1 });
    expect(
      await eu.report([odd('a'), odd('b'), service('shop/a', 1), service('shop/b', 1), service('shop/c', 1)]),
    ).toMatchObject([
      { name: 'b', error: { code: 'HG1002' } },
      { name: 'shop/c', error: { code: 'HG1002' } },
    ]);
    expect(await eu.report([odd('a', 9_999)])).toMatchObject([{ name: 'a' }]);
    // Room that a removal makes can be used in the same delta.
    expect(await eu.report([service('shop/c', 1)], [service('shop/a', 0)])).toEqual([]);
    expect(eu.inventory).toEqual(['odd/a', 'service/shop/b', 'service/shop/c']);
    // Another cluster's room is its own.
    expect(await (await Reporter.open(store, 'us')).report([service('shop/a', 1)])).toEqual([]);
  });

  test('of a stream that has missed another’s report is turned away', async () => {
    await using temporary = await temporaryStore();
    const first = await Reporter.open(temporary.store, 'eu');
    const second = await first.sink.view();
    await first.report([service('shop/a', 1)]);
    const delta = { epoch: { counter: 0n, id: '' }, revision: 0n, upserts: [], removals: [], endOfSnapshot: true };
    await expect(second.accept(delta)).rejects.toMatchObject({ code: 'HG3004' });
    const third = await first.sink.view();
    expect(await third.accept(delta)).toEqual([]);
    await expect(first.report([])).rejects.toMatchObject({ code: 'HG3004' });
  });

  test('of a cluster that is removed meanwhile is not stored', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const key = keys.cluster('eu');
    await store.transact({ operations: [{ kind: 'put', key, value: Buffer.from('{"name":"eu"}') }] });
    const eu = await Reporter.open(store, 'eu');
    await eu.report([ingress('shop/web', 'shop.example/')]);
    await store.transact({ operations: [{ kind: 'put', key, value: Buffer.from('{"name":"eu","uid":"u"}') }] });
    await eu.report([ingress('shop/two', 'two.example/')]);
    await store.transact({ operations: [{ kind: 'delete', key }] });
    await forgetCluster(store, 'eu');
    await expect(eu.report([ingress('shop/late', 'late.example/')])).rejects.toMatchObject({ code: 'HG2006' });
    expect(await keysUnder(store, 'report/')).toEqual([]);
  });

  test('replaces a stored value that cannot be read', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const key = keys.report('eu', 'ingress', 'shop/web');
    await store.transact({ operations: [{ kind: 'put', key, value: Buffer.from([0xff]) }] });
    const eu = await Reporter.open(store, 'eu');
    expect(eu.inventory).toEqual([]);
    await eu.report([ingress('shop/web', 'shop.example/')]);
    expect((await storedIngress(store, 'eu', 'shop/web'))?.value.name).toBe('web');
  });
});

describe('claims', () => {
  test('keep their place over edits; a new one gets a new place', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const eu = await Reporter.open(store, 'eu');
    await eu.report([ingress('shop/web', 'a.example/', 'b.example/')]);
    const first = await storedIngress(store, 'eu', 'shop/web');
    await eu.report([service('shop/web', 1)]);
    await eu.report([ingress('shop/web', 'a.example/', 'c.example/')]);
    const second = await storedIngress(store, 'eu', 'shop/web');
    await eu.report([ingress('shop/web', 'c.example/', 'a.example/', 'b.example/')]);
    const third = await storedIngress(store, 'eu', 'shop/web');

    expect(Object.fromEntries(first?.claimedAt ?? [])).toEqual({
      [claim('a.example/')]: 1n,
      [claim('b.example/')]: 1n,
    });
    expect(Object.fromEntries(second?.claimedAt ?? [])).toEqual({
      [claim('a.example/')]: 1n,
      [claim('c.example/')]: 3n,
    });
    expect(Object.fromEntries(third?.claimedAt ?? [])).toEqual({
      [claim('a.example/')]: 1n,
      [claim('b.example/')]: 4n,
      [claim('c.example/')]: 3n,
    });
    expect(third).toMatchObject({ createRevision: 1n, modRevision: 4n, heldBy: undefined });
  });

  test('of one commit go by namespace and name, whatever order they come in', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const eu = await Reporter.open(store, 'eu');
    await eu.report([
      ingress('shop-b/web', 'x.example/'),
      ingress('shop/web', 'x.example/'),
      ingress('a/z', 'y.example/'),
    ]);
    expect(await owners(store)).toEqual(['x.example shop', 'y.example a']);
  });

  test('of a host that has an owner leave the owner alone', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const eu = await Reporter.open(store, 'eu');
    const us = await Reporter.open(store, 'us');
    await eu.report([ingress('shop/web', 'x.example/', '*.x.example/')]);
    await us.report([ingress('rival/web', 'x.example/', 'own.example/')]);
    expect(await owners(store)).toEqual(['*.x.example shop', 'own.example rival', 'x.example shop']);
  });

  test('that race for a host give it to exactly one, and both are stored', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const names = ['c1', 'c2', 'c3', 'c4', 'c5'];
    const clusters = await Promise.all(names.map((cluster) => Reporter.open(store, cluster)));
    const hosts = Array.from({ length: 20 }, (_, i) => `h${i}.example/`);
    await Promise.all(clusters.map((one, i) => one.report([ingress(`ns${i}/web`, ...hosts)])));
    expect(new Set((await owners(store)).map((line) => line.split(' ')[1])).size).toBe(1);
    expect(await keysUnder(store, 'report/')).toHaveLength(5);
  });

  test('revive ownership that their namespace had let go, and no other’s', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const released = (host: string, namespace: string) =>
      store.transact({
        operations: [
          {
            kind: 'put',
            key: keys.owner(host),
            value: Buffer.from(JSON.stringify({ host, namespace, releasedAt: 5 })),
          },
        ],
      });
    await released('mine.example', 'shop');
    await released('theirs.example', 'rival');
    const eu = await Reporter.open(store, 'eu');
    await eu.report([ingress('shop/web', 'mine.example/', 'theirs.example/')]);
    expect(await owners(store)).toEqual(['mine.example shop', 'theirs.example rival released']);
  });
});
