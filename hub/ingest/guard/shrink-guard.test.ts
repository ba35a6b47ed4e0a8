import { describe, expect, test } from 'vitest';
import { ClusterCopy } from '../cluster-copy.ts';
import { confirmGuard } from './confirm-guard.ts';
import { listGuards } from './open-guard.ts';
import { judgeShrink } from './shrink-guard.ts';
import { claimsOf } from '../stored-report.ts';
import { claim, ingress, keysUnder, Reporter, service, storedIngress, temporaryStore } from '../ingest.fixture.ts';
import { Ingress } from '../../../proto/gen/headgate/v1/reported.ts';

/** One Ingress per route. */
function copyOf(routes: number): ClusterCopy {
  const copy = new ClusterCopy();
  for (let i = 0; i < routes; i++) {
    const one = ingress(`shop/i${i}`, `h${i}.example/`);
    copy.set(one, Ingress.decode(one.body));
  }
  return copy;
}

const names = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `shop/i${from + i}`);
const routesOf = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ingress(`shop/i${from + i}`, `h${from + i}.example/`));

describe('the shrink judge', () => {
  const nothing = { held: new Set<string>(), written: new Map(), emptySnapshot: false };

  test.each([
    { routes: 100, removed: 20, trips: false },
    { routes: 100, removed: 21, trips: true },
    { routes: 50, removed: 11, trips: true },
    { routes: 50, removed: 10, trips: false },
    { routes: 12, removed: 10, trips: false },
    { routes: 12, removed: 11, trips: true },
    { routes: 3, removed: 3, trips: false },
    { routes: 0, removed: 0, trips: false },
  ])('$removed of $routes: $trips', ({ routes, removed, trips }) => {
    const verdict = judgeShrink({ ...nothing, copy: copyOf(routes), removed: names(0, removed) });
    expect(verdict.trips).toBe(trips);
    expect(verdict.count()).toEqual({ gone: removed, before: routes });
  });

  test('a snapshot with nothing in it trips whatever the number', () => {
    expect(judgeShrink({ ...nothing, copy: copyOf(2), removed: names(0, 2), emptySnapshot: true }).trips).toBe(true);
    expect(judgeShrink({ ...nothing, copy: copyOf(0), removed: [], emptySnapshot: true }).trips).toBe(false);
  });

  test('a route that moves to another Ingress is not dropped', () => {
    const written = new Map(
      routesOf(40).map((one, i) => [`shop/new${i}`, claimsOf(Ingress.decode(one.body))] as const),
    );
    const verdict = judgeShrink({ ...nothing, copy: copyOf(40), removed: names(0, 40), written });
    expect(verdict.trips).toBe(false);
    expect(verdict.count()).toEqual({ gone: 0, before: 40 });
  });

  test('what is held already counts, also as what there was', () => {
    const held = new Set(Array.from({ length: 30 }, (_, i) => claim(`gone${i}.example/`)));
    const verdict = judgeShrink({ ...nothing, copy: copyOf(70), held, removed: names(0, 1) });
    expect(verdict.trips).toBe(true);
    expect(verdict.count()).toEqual({ gone: 31, before: 100 });
  });
});

describe('the shrink guard', () => {
  test('keeps its place and age over hold and release', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const eu = await Reporter.open(store, 'eu');
    await eu.report(routesOf(30));
    await eu.report([service('shop/web', 1)]);
    await eu.report([], routesOf(30));
    expect(await keysUnder(store, 'report/')).toEqual(['report/eu/service/shop/web']);
    expect(await keysUnder(store, 'held/')).toHaveLength(30);
    const [guard] = await listGuards(store);
    expect(guard).toMatchObject({ cluster: 'eu', message: '30 of 30 routes of eu' });
    expect(guard?.holds).toHaveLength(30);

    await eu.report(routesOf(29));
    expect(await keysUnder(store, 'held/')).toHaveLength(1);
    expect(await storedIngress(store, 'eu', 'shop/i3')).toMatchObject({ createRevision: 1n, heldBy: undefined });
    expect((await storedIngress(store, 'eu', 'shop/i3'))?.claimedAt.get(claim('h3.example/'))).toBe(1n);
    expect(await listGuards(store)).toMatchObject([{ message: '1 of 30 routes of eu', holds: ['ingress/shop/i29'] }]);

    await eu.report(routesOf(1, 29));
    expect(await listGuards(store)).toEqual([]);
    expect(await keysUnder(store, 'held/')).toEqual([]);
    // Nothing of it is left in the way of the next edit.
    await eu.report([ingress('shop/i3', 'h3.example/', 'new.example/')]);
    expect((await storedIngress(store, 'eu', 'shop/i3'))?.claimedAt.get(claim('h3.example/'))).toBe(1n);
  });

  test('grows while it is open, and goes on over a restart', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const eu = await Reporter.open(store, 'eu');
    await eu.report(routesOf(100));
    await eu.report([], routesOf(30));
    const again = await Reporter.open(store, 'eu');
    await again.report([], routesOf(2, 30), true);
    const guards = await listGuards(store);
    expect(guards).toMatchObject([{ message: '32 of 100 routes of eu' }]);
    expect(await keysUnder(store, `held/${guards[0]?.id}/`)).toHaveLength(32);
    await confirmGuard(store, guards[0]?.id ?? '');
    expect(await keysUnder(store, 'held/')).toEqual([]);
    expect(await listGuards(store)).toEqual([]);
    await expect(confirmGuard(store, guards[0]?.id ?? '')).rejects.toMatchObject({ code: 'HG2007' });
    // Small removals pass again.
    await again.report([], routesOf(2, 40));
    expect(await keysUnder(store, 'held/')).toEqual([]);
  });

  test('keeps the rules that an edit drops, beside those it writes', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const eu = await Reporter.open(store, 'eu');
    const hosts = Array.from({ length: 40 }, (_, i) => `h${i}.example/`);
    await eu.report([ingress('shop/web', ...hosts)]);
    await eu.report([ingress('shop/web', ...hosts.slice(0, 5), 'new.example/')]);
    const shown = await storedIngress(store, 'eu', 'shop/web');
    expect(shown?.value.rules.map((rule) => `${rule.host}/`).sort()).toEqual([...hosts, 'new.example/'].sort());
    expect(shown?.claimedAt.get(claim('h20.example/'))).toBe(1n);
    const [guard] = await listGuards(store);
    expect(guard).toMatchObject({ message: '35 of 40 routes of eu', holds: ['ingress/shop/web'] });
    expect(shown?.heldBy).toBe(guard?.id);

    // A rule that comes back is no longer held; another edit leaves the rest where it is.
    await eu.report([ingress('shop/web', ...hosts.slice(0, 6), 'new.example/')]);
    expect(await listGuards(store)).toMatchObject([{ message: '34 of 41 routes of eu' }]);
    expect((await storedIngress(store, 'eu', 'shop/web'))?.value.rules).toHaveLength(41);

    await confirmGuard(store, guard?.id ?? '');
    const after = await storedIngress(store, 'eu', 'shop/web');
    expect(after?.value.rules).toHaveLength(7);
    expect(after?.heldBy).toBeUndefined();
    expect(after?.claimedAt.get(claim('h0.example/'))).toBe(1n);
    expect(after?.claimedAt.get(claim('new.example/'))).toBe(2n);
  });

  test('holds the rules it keeps also when their Ingress goes, and only the routes that are dropped', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const eu = await Reporter.open(store, 'eu');
    const hosts = Array.from({ length: 40 }, (_, i) => `h${i}.example/`);
    await eu.report([ingress('shop/web', ...hosts)]);
    await eu.report([ingress('shop/web', ...hosts.slice(0, 5))]);
    // Its last five routes move on; 35 stay held.
    await eu.report([ingress('shop/other', ...hosts.slice(0, 5))], [ingress('shop/web')]);
    const [guard] = await listGuards(store);
    expect(guard).toMatchObject({ message: '35 of 40 routes of eu' });
    expect(await keysUnder(store, 'held/')).toEqual([`held/${guard?.id}/eu/ingress/shop/web`]);
    await confirmGuard(store, guard?.id ?? '');
    expect((await storedIngress(store, 'eu', 'shop/other'))?.value.rules).toHaveLength(5);
    expect(await keysUnder(store, 'report/')).toEqual(['report/eu/ingress/shop/other']);
  });

  test('keeps what a partial return leaves out', async () => {
    await using temporary = await temporaryStore();
    const { store } = temporary;
    const eu = await Reporter.open(store, 'eu');
    const hosts = Array.from({ length: 40 }, (_, i) => `h${i}.example/`);
    await eu.report([ingress('shop/web', ...hosts)]);
    await eu.report([], [ingress('shop/web')]);
    await eu.report([ingress('shop/web', ...hosts.slice(0, 10))]);
    expect(await listGuards(store)).toMatchObject([{ message: '30 of 40 routes of eu' }]);
    const shown = await storedIngress(store, 'eu', 'shop/web');
    expect(shown?.value.rules).toHaveLength(40);
    expect(shown?.claimedAt.get(claim('h39.example/'))).toBe(1n);
    await eu.report([ingress('shop/web', ...hosts)]);
    expect(await listGuards(store)).toEqual([]);
    expect((await storedIngress(store, 'eu', 'shop/web'))?.heldBy).toBeUndefined();
  });
});
