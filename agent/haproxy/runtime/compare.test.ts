import { beforeAll, describe, expect, it } from 'vitest';
import type { Resource } from '../../../lib/sync/index.ts';
import type { Desired } from '../model/desired.ts';
import { mapNames } from '../model/names.ts';
import { Planner } from '../plan/planner.ts';
import { weight } from '../render/server-line.ts';
import { testCa } from '../testing/certificates.fixture.ts';
import type { TestCa, TestLeaf } from '../testing/certificates.fixture.ts';
import { backend, certificate, endpoints, host } from '../testing/resources.fixture.ts';
import { compare, gatewayDifference, leafFingerprint } from './compare.ts';
import type { Observed, ObservedMap, ObservedServer } from './observe.ts';

let leaf: TestLeaf;
beforeAll(async () => {
  leaf = await (await testCa()).leaf('a.example');
});

function desiredOf(resources: readonly Resource[]): Desired {
  const none = new Map<string, number>();
  const planner = new Planner({
    cluster: 'eu',
    assignments: { slots: 64, profiles: [], peerSlots: 1, backends: none, peers: none },
  });
  expect(planner.apply({ upserts: resources, removals: [] }).rejections).toEqual([]);
  return planner.desired;
}

/** What a worker holds that holds exactly what is desired, in a form that a test may spoil. */
function mirrorOf(desired: Desired) {
  const backends = [...desired.slots, ...desired.peers];
  return {
    maps: new Map(mapNames.map((map) => [map, { entries: new Map(desired.maps[map]), repeated: new Set<string>() }])),
    backends: new Set(backends.map(({ name }) => name)),
    servers: new Map(
      backends.map(({ name, servers }) => [
        name,
        new Map(
          [...servers.values()].map((one): [string, ObservedServer] => [
            one.name,
            {
              address: one.address,
              port: one.port,
              weight: weight(one),
              maintenance: false,
              down: false,
              ejected: false,
            },
          ]),
        ),
      ]),
    ),
    list: new Map([...desired.certificates.values()].map(({ file, hosts }) => [file, hosts.join(' ')])),
    authorities: new Set(desired.authorities.keys()),
    fingerprints: new Map([...desired.certificates.values()].map(({ file, pem }) => [file, leafFingerprint(pem)])),
    gatewayCas: new Set(),
  } satisfies Observed & { maps: Map<string, ObservedMap> };
}

function example(): Desired {
  return desiredOf([
    backend('shop/a/80'),
    endpoints('shop/a', 9000, ['127.0.0.1', '127.0.0.2']),
    host('a.example', [{ path: '/', at: { eu: 'shop/a/80' } }]),
    certificate('shop/tls', ['a.example'], leaf),
  ]);
}

type Changed = ReturnType<typeof mirrorOf>;

describe('compare', () => {
  it('finds nothing where nothing differs', () => {
    const desired = example();
    expect(compare(desired, mirrorOf(desired))).toEqual({ missingBackends: [], ops: [] });
  });

  it.each<[string, (observed: Changed) => void, string[]]>([
    ['a lost map entry', (o) => o.maps.get('host')?.entries.clear(), ['map-set new']],
    ['another value', (o) => o.maps.get('host')?.entries.set('a.example', 'other'), ['map-set']],
    ['an entry too many', (o) => o.maps.get('host')?.entries.set('b.example', 'x'), ['map-delete']],
    ['an entry twice', (o) => o.maps.get('host')?.repeated.add('a.example'), ['map-delete', 'map-set new']],
    ['lost servers', (o) => o.servers.get('s0000')?.clear(), ['server-add', 'server-add']],
    ['a server too many', (o) => o.servers.get('s0001')?.set('e-x', serving), ['server-remove']],
    ['a server on its way out', (o) => o.servers.get('s0001')?.set('e-x', { ...serving, maintenance: true }), []],
    ['a certificate of another leaf', (o) => spoil(o.fingerprints, 'AB'), ['certificate-update']],
    ['a lost certificate', (o) => (o.fingerprints.clear(), o.list.clear()), ['certificate-add']],
    ['a certificate that is not listed', (o) => o.list.clear(), ['certificate-remove', 'certificate-add']],
    ['a certificate too many', (o) => o.fingerprints.set('certs/c-0.pem', 'AB'), ['certificate-remove']],
  ])('mends %s', (_, change, kinds) => {
    const desired = example();
    const observed = mirrorOf(desired);
    change(observed);
    const { ops } = compare(desired, observed);
    expect(ops.map((op) => (op.kind === 'map-set' && op.isNew ? `${op.kind} new` : op.kind))).toEqual(kinds);
  });

  it('leaves maps alone that no rule names, and names backends that only a reload brings', () => {
    const desired = example();
    const observed = mirrorOf(desired);
    observed.maps.delete('host');
    observed.backends.delete('s0063');
    expect(compare(desired, observed)).toEqual({ missingBackends: ['s0063'], ops: [] });
  });
});

const serving: ObservedServer = {
  address: '127.0.0.1',
  port: 1,
  weight: 1,
  maintenance: false,
  down: false,
  ejected: false,
};

function spoil(map: Map<string, string>, value: string): void {
  for (const key of map.keys()) map.set(key, value);
}

it('tells which of the gateway’s credentials a worker lacks', async () => {
  const [one, two] = [await testCa(), await testCa()];
  const { certificate: gatewayCertificate } = await one.leaf('eu.gateway.headgate');
  const fixed = { gatewayCertificate, gatewayCa: `${one.certificate}\n${two.certificate}\n` };
  expect(gatewayDifference(fixed, { fingerprints: shown(gatewayCertificate), gatewayCas: trusted(two, one) })).toEqual({
    certificate: false,
    ca: false,
  });
  for (const gatewayCas of [trusted(one), trusted(one, two, await testCa()), trusted(one, await testCa())]) {
    expect(gatewayDifference(fixed, { fingerprints: shown(one.certificate), gatewayCas })).toEqual({
      certificate: true,
      ca: true,
    });
  }
});

function shown(pem: string): ReadonlyMap<string, string> {
  return new Map([['gateway/gateway.pem', leafFingerprint(pem)]]);
}

function trusted(...cas: readonly TestCa[]): ReadonlySet<string> {
  return new Set(cas.map(({ certificate: pem }) => leafFingerprint(pem)));
}
