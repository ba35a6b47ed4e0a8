import { expect, test } from 'vitest';
import { PathType } from '../../proto/gen/headgate/v1/configured.ts';
import { Ingress } from '../../proto/gen/headgate/v1/reported.ts';
import { resource } from '../../lib/sync/index.ts';
import { claimKey } from '../fleet/state.ts';
import {
  claimsOf,
  committedIngress,
  decodeStoredReport,
  encodeStoredReport,
  hostOfClaim,
  type UnstoredReport,
  withoutKept,
} from './stored-report.ts';
import { claim, ingress } from './ingest.fixture.ts';

const entry = (report: UnstoredReport) => ({
  key: 'report/eu/ingress/shop/web',
  value: encodeStoredReport(report),
  createRevision: 40n,
  modRevision: 50n,
});
const read = (report: UnstoredReport) => decodeStoredReport('ingress', 'shop/web', entry(report));
const web = ingress('shop/web', 'a.example/', 'b.example/');

test('a new resource takes its revisions from the entry', () => {
  const stored = read({ resource: web });
  expect(stored.resource).toEqual({ ...web, body: Buffer.from(web.body) });
  expect(stored).toMatchObject({ createRevision: 40n, modRevision: 50n, kept: undefined });
  expect([...committedIngress(stored).claimedAt.values()]).toEqual([50n, 50n]);
});

test('ages and create revision that are told stand before the entry’s', () => {
  const stored = read({ resource: web, createRevision: 7n, ages: new Map([[claim('a.example/'), 9n]]) });
  const committed = committedIngress(stored, 'guard');
  expect(committed).toMatchObject({ createRevision: 7n, modRevision: 50n, heldBy: 'guard' });
  expect(Object.fromEntries(committed.claimedAt)).toEqual({ [claim('a.example/')]: 9n, [claim('b.example/')]: 50n });
});

test('kept rules stand beside those that were sent, and go without a trace', () => {
  const rules = Ingress.decode(ingress('shop/web', 'c.example/').body).rules;
  const ages = new Map([[claim('c.example/'), 3n]]);
  const stored = read({ resource: web, ages, kept: { rules, guard: 'g' } });
  const committed = committedIngress(stored);
  expect(committed.value.rules.map(({ host }) => host)).toEqual(['a.example', 'b.example', 'c.example']);
  expect(committed.heldBy).toBe('g');
  expect(committed.claimedAt.get(claim('c.example/'))).toBe(3n);
  const after = committedIngress(read(withoutKept(stored)));
  expect(after.value.rules).toHaveLength(2);
  expect(after).toMatchObject({ createRevision: 40n, heldBy: undefined });
});

test('a default backend is a claim, and two rules on one path are one', () => {
  const message = Ingress.decode(ingress('shop/web', 'a.example/', 'a.example/', '/').body);
  const claims = claimsOf({ ...message, defaultBackend: { service: 'web', portNumber: 80, portName: '' } });
  expect([...claims]).toEqual([claim('a.example/'), claim('/'), claimKey('', PathType.UNSPECIFIED, '')]);
  expect([...claims].map(hostOfClaim)).toEqual(['a.example', '', '']);
});

test('what cannot be decoded is HG4003', () => {
  const broken = { ...entry({ resource: web }), value: Buffer.from([0xff]) };
  expect(() => decodeStoredReport('ingress', 'shop/web', broken)).toThrow(expect.objectContaining({ code: 'HG4003' }));
  const body = read({ resource: resource('ingress', 'shop/web', Buffer.from([0xff])) });
  expect(() => committedIngress(body)).toThrow(expect.objectContaining({ code: 'HG4003' }));
});
