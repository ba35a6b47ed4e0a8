import { beforeEach, expect, test } from 'vitest';

import { VirtualClock } from '../../lib/virtual-clock.fixture.ts';
import { resource, type Resource, type ResourceKey } from '../../lib/sync/index.ts';
import { Certificate, Endpoints } from '../../proto/gen/headgate/v1/configured.ts';
import { Ingress, Service } from '../../proto/gen/headgate/v1/reported.ts';
import { HeldRemovals } from './held-removals.ts';
import type { SourceChange } from './source.ts';

const host = 'shop.example';
const backend = (service: string) => ({ service, portNumber: 80, portName: '' });
const ingress = (service: string): Resource =>
  resource(
    'ingress',
    'shop/web',
    Ingress.encode(
      Ingress.fromPartial({ namespace: 'shop', name: 'web', rules: [{ host, path: '/', backend: backend(service) }] }),
    ).finish(),
  );
const endpoints = resource(
  'endpoints',
  'shop/web-1',
  Endpoints.encode(Endpoints.fromPartial({ namespace: 'shop', service: 'web' })).finish(),
);
const service = resource('service', 'shop/web', Service.encode(Service.fromPartial({ name: 'web' })).finish());
const certificate = resource(
  'own-certificate',
  'shop/tls',
  Certificate.encode(Certificate.fromPartial({ hosts: [host] })).finish(),
);
const everything = { report: [service], own: [endpoints, certificate] };

let clock: VirtualClock;
let routed: Set<string>;
let removals: HeldRemovals;
beforeEach(() => {
  clock = new VirtualClock();
  routed = new Set(['shop/web', host]);
  const has = (name: string) => routed.has(name);
  removals = new HeldRemovals({ service: has, host: has }, clock);
  removals.filter(change({ report: [ingress('web'), service], own: everything.own }, {}));
});

interface Part {
  readonly report?: readonly Resource[];
  readonly own?: readonly Resource[];
}

function delta(upserts: readonly Resource[] = [], gone: readonly ResourceKey[] = []) {
  return { upserts, removals: gone.map(({ type, name }) => ({ type, name })) };
}

function change(upserts: Part, gone: Part): SourceChange {
  return { report: delta(upserts.report, gone.report), own: delta(upserts.own, gone.own) };
}

function removed({ report, own }: SourceChange): string[] {
  return [...report.removals, ...own.removals].map(({ type }) => type);
}

test('what an Ingress still names goes at once', () => {
  expect(removed(removals.filter(change({}, everything)))).toEqual(['service', 'endpoints', 'own-certificate']);
});

test('what a withdrawn Ingress was served from stays until 30 s after the hub routes there no more', () => {
  const gone = change({}, { report: [ingress('web'), service], own: everything.own });
  expect(removed(removals.filter(gone))).toEqual(['ingress']);
  expect(removed(removals.release())).toEqual([]);
  expect(removals.dueIn()).toBeUndefined();
  routed.clear();
  expect(removed(removals.release())).toEqual([]);
  expect(removals.dueIn()).toBe(30_000);
  clock.hang(29_999);
  expect(removed(removals.release())).toEqual([]);
  clock.hang(1);
  expect(removed(removals.release())).toEqual(['service', 'endpoints', 'own-certificate']);
  expect(removals.dueIn()).toBeUndefined();
});

test('what the hub routes to again in the meantime stays', () => {
  removals.filter(change({}, { report: [ingress('web')], own: [endpoints] }));
  routed.clear();
  removals.release();
  routed.add('shop/web');
  removals.release();
  clock.hang(60_000);
  expect(removed(removals.release())).toEqual([]);
});

test('an Ingress that comes back without its endpoints lets them go, and one with them keeps them', () => {
  removals.filter(change({}, { report: [ingress('web'), service], own: [endpoints] }));
  removals.filter(change({ report: [ingress('web'), service] }, {}));
  expect(removed(removals.release())).toEqual(['endpoints']);
  removals.filter(change({ own: [endpoints] }, {}));
  removals.filter(change({}, { report: [ingress('web')], own: [endpoints] }));
  removals.filter(change({ report: [ingress('web')], own: [endpoints] }, {}));
  routed.clear();
  clock.hang(60_000);
  expect(removed(removals.release())).toEqual([]);
});

test('an edit to another Service keeps the former one until the hub has heard', () => {
  expect(
    removed(removals.filter(change({ report: [ingress('other')] }, { report: [service], own: [endpoints] }))),
  ).toEqual([]);
});

test('what nothing routes to goes at once', () => {
  routed.clear();
  const gone = change({}, { report: [ingress('web'), service], own: everything.own });
  expect(removed(removals.filter(gone))).toEqual(['ingress', 'service', 'endpoints', 'own-certificate']);
});
