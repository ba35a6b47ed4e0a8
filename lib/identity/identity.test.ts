import { describe, expect, test } from 'vitest';
import { formatSpiffe, parseSpiffe, type Identity } from './identity.ts';

describe('identity', () => {
  const identities: Identity[] = [
    { kind: 'hub', fleet: 'fleet', id: 'h1' },
    { kind: 'cluster', fleet: 'fleet', cluster: 'eu' },
    { kind: 'node', fleet: 'fleet', cluster: 'eu', node: 'n-1' },
  ];

  test.each(identities)('survives a round trip: $kind', (identity) => {
    expect(parseSpiffe(formatSpiffe(identity))).toEqual(identity);
  });

  test.each([
    '',
    'spiffe://fleet',
    'spiffe://fleet/',
    'spiffe:///hub/h1',
    'spiffe://fleet/hub/',
    'spiffe://fleet/hub/h1/',
    'spiffe://fleet/hub/h1/agent',
    'spiffe://fleet/hub/H1',
    'SPIFFE://fleet/hub/h1',
    ' spiffe://fleet/hub/h1',
    'spiffe://fleet/hub/h1\n',
    'spiffe://fleet/hub/h1?x=1',
    'spiffe://fleet/hub/h%31',
    'spiffe://fleet:443/hub/h1',
    'spiffe://user@fleet/hub/h1',
    'https://fleet/hub/h1',
    'spiffe://fleet/cluster/eu',
    'spiffe://fleet/cluster/eu/agent/',
    'spiffe://fleet/cluster/eu/agent/x',
    'spiffe://fleet/cluster/eu/node',
    'spiffe://fleet/cluster/eu/node/',
    'spiffe://fleet/cluster/eu/node/a/b',
    'spiffe://fleet/cluster/../hub/h1',
    'spiffe://fleet/operator/admin',
    `spiffe://fleet/cluster/${'a'.repeat(64)}/agent`,
  ])('refuses %j', (uri) => {
    expect(parseSpiffe(uri)).toBeUndefined();
  });
});
