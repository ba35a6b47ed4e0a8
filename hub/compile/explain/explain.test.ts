import { describe, expect, test } from 'vitest';
import { routeId } from '../../../lib/domain/route-id.ts';
import { encodeStoredReport } from '../../ingest/stored-report.ts';
import { keys } from '../../store/keys.ts';
import { HostSplit, PathType } from '../../../proto/gen/headgate/v1/configured.ts';
import { resource } from '../../../lib/sync/index.ts';
import { fleetOf, type SmallFleet, storeEntries } from '../../../test/hub/small-fleet.ts';
import type { Entry } from '../../store/store.ts';
import { compileHost } from '../compile-host.ts';
import { explainRequest } from './explain.ts';

const fleet: SmallFleet = {
  members: ['eu', 'us', 'ap'],
  owners: { 'shop.example': 'shop', '*.wild.example': 'shop' },
  ingresses: ['eu', 'us'].map((cluster, i) => ({
    cluster,
    name: 'shop/shop',
    rev: 5 + i,
    rules: ['shop.example/ Prefix web:80', 'shop.example/cart Exact cart:80', '*.wild.example/ Prefix web:80'],
    ...(cluster === 'eu' ? { default: 'web:80' } : {}),
  })),
  services: [
    { cluster: 'eu', name: 'shop/web', ports: { '80': 2 } },
    { cluster: 'us', name: 'shop/web', ports: { '80': 3 } },
    { cluster: 'us', name: 'shop/cart', ports: { '80': 1 } },
  ],
};

function explain(given: SmallFleet, host: string, path: string, entry: string, more: Entry[] = []) {
  const { state, index } = fleetOf([...storeEntries(given), ...more]);
  return explainRequest(state, (name) => compileHost(state, index, name), { host, path, entry });
}

describe('explainRequest', () => {
  test('local first: route, owner, shares, backends and reasons', () => {
    const { outcome, summary, route, normalPath } = explain(fleet, 'Shop.Example:8443', '/x/..//a', 'eu');
    expect({ outcome, summary, normalPath }).toEqual({
      outcome: 'served',
      summary: 'Prefix shop.example/ is served by eu 100 %',
      normalPath: '/a',
    });
    expect(route).toMatchObject({ host: 'shop.example', owner: 'shop', pathType: 'Prefix', splitSource: 'computed' });
    expect(route?.clusters).toEqual([
      { cluster: 'eu', share: 100_000, why: 'serves its own first', backend: 'shop/web/80', ready: 2 },
      { cluster: 'us', share: 0, why: 'eu serves its own first', backend: 'shop/web/80', ready: 3 },
    ]);
    expect(route?.fallbacks).toEqual(['us']);
    expect(route?.fields.map(({ field, winner }) => `${field} ${winner}`)).toContain('exposure default');
  });

  test('a spill says why', () => {
    const { route } = explain(fleet, 'shop.example', '/cart', 'eu');
    expect(route).toMatchObject({ pathType: 'Exact', path: '/cart' });
    expect(route?.clusters.map(({ cluster, share, why }) => [cluster, share, why])).toEqual([
      ['us', 100_000, 'takes over from eu, in proportion to ready endpoints'],
      ['eu', 0, 'no ready endpoint'],
    ]);
  });

  test('wildcards, default backends, and hosts that are not declared', () => {
    expect(explain(fleet, 'a.wild.example', '/', 'us').route?.host).toBe('*.wild.example');
    expect(explain(fleet, 'a.b.wild.example', '/', 'us').outcome).toBe('404');
    expect(explain(fleet, 'unknown.example', '/x', 'eu').route).toMatchObject({ host: '*', owner: undefined });
    expect(explain(fleet, 'shop.example', '/', 'ap')).toMatchObject({
      outcome: '404',
      summary: 'ap answers 404: shop.example is served only where it is declared: eu, us',
    });
    expect(() => explain(fleet, 'shop.example', '/', 'mars')).toThrow('there is no cluster "mars"');
  });

  test('nothing usable is 503', () => {
    const { outcome, summary } = explain({ ...fleet, services: [] }, 'shop.example', '/', 'eu');
    expect(outcome).toBe('503');
    expect(summary).toContain('eu: no ready endpoint');
  });

  test('what the entry’s agent reports comes before what the hub would compute', () => {
    const split: HostSplit = {
      host: 'shop.example',
      routes: [
        {
          routeId: routeId('shop.example', PathType.PREFIX, '/'),
          shares: [{ cluster: 'us', share: 100_000 }],
          fallbacks: [],
          affinity: false,
          sticky: [],
          tier: 0,
          reasons: ['eu: no ready endpoint'],
        },
      ],
    };
    const body = encodeStoredReport({ resource: resource('split', 'shop.example', HostSplit.encode(split).finish()) });
    const key = keys.report('eu', 'split', 'shop.example');
    const entry: Entry = { key, value: body, createRevision: 9n, modRevision: 9n };
    const { route } = explain(fleet, 'shop.example', '/', 'eu', [entry]);
    expect(route?.splitSource).toBe('agent');
    expect(route?.clusters[0]).toMatchObject({ cluster: 'us', share: 100_000 });
    expect(route?.clusters[1]).toMatchObject({ cluster: 'eu', why: 'no ready endpoint' });
  });
});
