import { test } from 'vitest';
import { resource } from '../lib/sync/index.ts';
import { Endpoints, Settings } from '../proto/gen/headgate/v1/configured.ts';
import { decodable } from './decoding.ts';

const settings = resource(
  'settings',
  'cluster',
  Settings.encode(Settings.create({ cluster: 'eu', fleet: 'f' })).finish(),
);
const endpoints = resource(
  'endpoints',
  'shop/web',
  Endpoints.encode({ namespace: 'shop', service: 'web', ports: [], endpoints: [] }).finish(),
);
const unknown = resource('gateway-class', 'x', Uint8Array.of(255));

test('the hub says nothing of a cluster’s endpoints, neither that they are nor that they are gone', ({ expect }) => {
  const { upserts, removals, refusals } = decodable(
    { upserts: [settings, endpoints, unknown], removals: [endpoints, settings] },
    ['hub'],
  );
  expect(upserts).toEqual([settings, unknown]);
  expect(removals).toEqual([settings]);
  expect(refusals.map(({ name, error }) => `${name} ${error.code}`)).toEqual(['shop/web HG2006']);
});

test('what cannot be decoded is refused by name and the rest stands', ({ expect }) => {
  const broken = resource('settings', 'other', Uint8Array.of(255));
  const { upserts, refusals } = decodable({ upserts: [broken, endpoints], removals: [] }, ['hub', 'cluster']);
  expect(upserts).toEqual([endpoints]);
  expect(refusals.map(({ name, error }) => `${name} ${error.code}`)).toEqual(['other HG3006']);
});
