import { describe, expect, test } from 'vitest';
import type { Resource } from '../../../lib/sync/index.ts';
import { resource } from '../../../lib/sync/index.ts';
import { Host, PathType } from '../../../proto/gen/headgate/v1/configured.ts';
import { fixed } from '../testing/fixed.fixture.ts';
import { testCa } from '../testing/certificates.fixture.ts';
import { backend, certificate, endpoints, host, peer, route, split } from '../testing/resources.fixture.ts';
import type { Change } from '../model/change.ts';
import type { Desired } from '../model/desired.ts';
import { commandsFor } from '../render/commands.ts';
import { renderFile, renderFiles } from '../render/files.ts';
import { Planner } from './planner.ts';

const none = new Map<string, number>();
const shop = host('shop.example', [{ path: '/', at: { eu: 'd/shop/80', us: 'd/shop/80' } }]);
const id = route('shop.example', { path: '/', at: {} }).id;
const ready = endpoints('d/shop', 8000, ['10.0.0.1', '10.0.0.2']);
const all = [shop, backend('d/shop/80'), ready, peer('us', ['10.1.0.1:7444']), peer('eu', ['10.0.0.9:7444'])];

function planned(upserts: Resource[] = all, backends: ReadonlyMap<string, number> = none): Planner {
  const planner = new Planner({
    cluster: 'eu',
    assignments: { slots: 64, profiles: [], peerSlots: 2, backends, peers: none },
  });
  const change = planner.apply({ upserts, removals: [] });
  expect(change.rejections).toEqual([]);
  return planner;
}

const kinds = ({ ops }: Change): string[] => ops.map(({ op }) => ('map' in op ? `${op.kind} ${op.map}` : op.kind));
const texts = ({ ops }: Change): string[] => commandsFor(ops, 'sni').map(({ command }) => command.text);
const maps = (desired: Desired): Record<string, string> =>
  Object.fromEntries(Object.entries(desired.maps).map(([name, map]) => [name, map.text()]));

/** The route's split: so much for eu, the rest for us. */
const share = (eu: number): Resource =>
  split('shop.example', [
    {
      path: '/',
      shares: [
        { cluster: 'eu', share: eu },
        { cluster: 'us', share: 100_000 - eu },
      ],
    },
  ]);

const body = (value: Parameters<typeof Host.create>[0]): Resource =>
  resource('host', 'shop.example', Host.encode(Host.create(value)).finish());

describe('a change costs what it changes', () => {
  test('weights: one map write', () => {
    const planner = planned();
    const first = planner.apply({ upserts: [share(90_000)], removals: [] });
    expect(texts(first)).toEqual([`set map maps/path.map shop.example/ |${id}|90000:s0000:100000:p00:|s0000|p00`]);
    expect([...first.files]).toEqual(['maps/path.map']);
    expect(texts(planner.apply({ upserts: [share(10_000)], removals: [] }))).toEqual([
      `set map maps/path.map shop.example/ |${id}|10000:s0000:100000:p00:|p00|s0000`,
    ]);
    expect(planner.apply({ upserts: [share(10_000)], removals: [] }).ops).toEqual([]);
  });

  test('endpoints: servers of one slot and its file', () => {
    const planner = planned();
    const change = planner.apply({ upserts: [endpoints('d/shop', 8000, ['10.0.0.2', '10.0.0.3'])], removals: [] });
    expect(kinds(change)).toEqual(['server-add', 'server-remove']);
    expect([...change.files]).toEqual(['conf/50-slots-0000.cfg']);
    expect(change.ops.map((owned) => owned.resource)).toEqual([
      { type: 'endpoints', name: 'd/shop-a' },
      { type: 'endpoints', name: 'd/shop-a' },
    ]);
  });

  test('a new host with its service: everything it rests on first', () => {
    const planner = planned();
    const change = planner.apply({
      upserts: [
        host('new.example', [{ path: '/a', at: { eu: 'd/new/80' } }]),
        backend('d/new/80'),
        endpoints('d/new', 8000, ['10.0.0.5']),
      ],
      removals: [],
    });
    expect(kinds(change)).toEqual([
      'assigned',
      'server-add',
      'map-set gateway',
      'map-set path',
      'map-set path',
      'map-set host',
    ]);
    expect(texts(change).filter((text) => text.includes('path.map')).length).toBe(1);
    expect(change.assignmentsChanged).toBe(true);
  });

  test('files of a change and files from nothing are the same', () => {
    const planner = planned();
    const files = renderFiles(planner.desired, fixed);
    const change = planner.apply({
      upserts: [host('b.example', [{ path: '/', at: { eu: 'd/b/80' } }]), endpoints('d/shop', 1, ['::1'])],
      removals: [{ type: 'peer', name: 'us' }],
    });
    for (const file of change.files) {
      const text = renderFile(planner.desired, fixed, file);
      if (text === undefined) files.delete(file);
      else files.set(file, text);
    }
    expect(files).toEqual(renderFiles(planner.desired, fixed));
  });
});

test('to apply the old version of a resource undoes the new one', () => {
  const planner = planned();
  const before = maps(planner.desired);
  const slots = structuredClone(planner.desired.slots);
  const upserts = [host('shop.example', [{ path: '/x', at: { us: 'd/shop/80' } }]), endpoints('d/shop', 1, [])];
  const change = planner.apply({ upserts, removals: [] });
  expect(maps(planner.desired)).not.toEqual(before);
  planner.apply({ upserts: [shop, ready], removals: [] });
  planner.forget(change.lingering);
  expect(maps(planner.desired)).toEqual(before);
  expect(planner.desired.slots).toEqual(slots);
});

test('the order of a delta does not matter', () => {
  const forth = planned(all);
  const back = planned(all.toReversed());
  expect(maps(back.desired)).toEqual(maps(forth.desired));
  expect(back.desired.slots).toEqual(forth.desired.slots);
});

test('a route that goes keeps its slot until it is forgotten; one that comes back is not forgotten', () => {
  const planner = planned();
  const removals = [
    { type: 'host', name: 'shop.example' },
    { type: 'backend', name: 'd/shop/80' },
  ];
  const gone = planner.apply({ upserts: [], removals });
  expect(gone.lingering).toEqual([id]);
  expect(kinds(gone)).toEqual(['map-delete host', 'map-delete path']);
  expect(planner.desired.maps.gateway.get(id)).toBe('s0000');
  planner.apply({ upserts: [shop], removals: [] });
  expect(planner.forget(gone.lingering).ops).toEqual([]);
  planner.apply({ upserts: [], removals });
  expect(kinds(planner.forget([id]))).toEqual(['map-delete gateway', 'server-remove', 'server-remove', 'freed']);
  expect(planner.sparesLeft).toBe(64);
});

test('rules without a host never reach the gateway map', () => {
  const planner = planned([host('*', [], { path: '/', at: { eu: 'd/shop/80' } })]);
  expect(planner.desired.maps.gateway.size).toBe(0);
  expect(planner.desired.maps.path.size).toBe(1);
});

test('slots are kept through a restart, and lost when nobody comes for them', () => {
  const kept = new Map([
    ['d/shop/80', 7],
    ['d/gone/80', 0],
  ]);
  const planner = planned([...all, backend('d/new/80')], kept);
  expect(planner.assignments().backends).toEqual(
    new Map([
      ['d/shop/80', 7],
      ['d/new/80', 1],
    ]),
  );
  planner.apply({ upserts: [backend('d/later/80')], removals: [] });
  expect(planner.assignments().backends.get('d/later/80')).toBe(0);
});

test('a dry pool grows by a file and asks for a reload', () => {
  const planner = planned(Array.from({ length: 64 }, (_, i) => backend(`d/s${i}/80`)));
  expect(planner.sparesLeft).toBe(0);
  const change = planner.apply({ upserts: [backend('d/one-more/80')], removals: [] });
  expect([change.reload, planner.sparesLeft]).toEqual(['pool-refill', 63]);
  expect([...change.files]).toEqual(['conf/50-slots-0001.cfg']);
  expect(planner.grow(1)).toMatchObject({ reload: 'pool-refill', files: new Set(['conf/50-slots-0002.cfg']) });
});

test('draining endpoints finish what they have, and serve when no other does', () => {
  const planner = planned();
  const states = (): string[] =>
    [...(planner.desired.slots[0]?.servers.values() ?? [])].map((s) => `${s.address} ${s.state}`);
  planner.apply({ upserts: [endpoints('d/shop', 8000, ['10.0.0.1'], ['10.0.0.2', '10.0.0.7'])], removals: [] });
  expect(states()).toEqual(['10.0.0.1 ready', '10.0.0.2 drain']);
  planner.apply({ upserts: [endpoints('d/shop', 8000, [], ['10.0.0.2', '10.0.0.7'])], removals: [] });
  expect(states()).toEqual(['10.0.0.2 ready', '10.0.0.7 ready']);
});

test('a certificate for other hosts is added before the old one goes', async () => {
  const leaf = await (await testCa()).leaf('a.example');
  const hosts = ['a.example', 'b.example'].map((name) => host(name, [{ path: '/', at: { eu: 'd/shop/80' } }]));
  const planner = planned([...hosts, certificate('d/tls', ['a.example'], leaf)]);
  expect(kinds(planner.apply({ upserts: [certificate('d/tls', ['b.example'], leaf)], removals: [] }))).toEqual([
    'certificate-add',
    'certificate-remove',
  ]);
});

test('a gateway by DNS name is left out, and costs its peer no other', () => {
  const planner = planned();
  const change = planner.apply({ upserts: [peer('us', ['gw.example:7444', '10.1.0.2:7444'])], removals: [] });
  expect(change.rejections).toEqual([]);
  expect(texts(change).join('\n')).toContain('10.1.0.2:7444');
});

describe('bad input is refused by name and changes nothing', () => {
  const good = route('shop.example', { path: '/', at: {} });
  const nine = Array.from({ length: 9 }, (_, i) => ({ cluster: `c${i}`, share: 1 }));

  test.each<[string, Resource, string]>([
    ['not protobuf', resource('host', 'shop.example', new Uint8Array([255, 255])), 'HG1001'],
    ['another name', resource('host', 'x.example', shop.body), 'HG1002'],
    ['a host with a blank', host('a b.example', []), 'HG1002'],
    ['a path with a newline', body({ name: 'shop.example', routes: [{ ...good, path: '/a\nb x' }] }), 'HG1002'],
    ['a path with "#"', body({ name: 'shop.example', routes: [{ ...good, path: '/a#' }] }), 'HG1002'],
    ['an id that is a name', body({ name: 'shop.example', routes: [{ ...good, id: 's0000 | evil' }] }), 'HG1002'],
    [
      'an unknown path type',
      body({ name: 'shop.example', routes: [{ ...good, pathType: PathType.UNSPECIFIED }] }),
      'HG1002',
    ],
    [
      'an id of another host',
      resource('host', 'o.example', Host.encode(Host.create({ name: 'o.example', routes: [good] })).finish()),
      'HG1002',
    ],
    ['a host name as endpoint', endpoints('d/shop', 80, ['evil.example']), 'HG1002'],
    ['an endpoint with options', endpoints('d/shop', 80, ['10.0.0.1 backup']), 'HG1002'],
    ['the metadata server of a cloud', endpoints('d/shop', 80, ['169.254.169.254']), 'HG1002'],
    ['the machine, by no address', endpoints('d/shop', 80, ['0.0.0.0']), 'HG1002'],
    ['a port of 0', endpoints('d/shop', 0, ['10.0.0.1']), 'HG1002'],
    ['a peer whose name is more than one line', peer('us\nevil', []), 'HG1002'],
    [
      'a cluster with no cluster’s name',
      split('shop.example', [{ path: '/', fallbacks: ['e\u00f5'], shares: [] }]),
      'HG1002',
    ],
    ['more targets than a draw has', split('shop.example', [{ path: '/', shares: nine }]), 'HG5005'],
    [
      'a certificate for more hosts than one entry of the list can name',
      certificate(
        'd/tls',
        Array.from({ length: 1_000 }, (_, i) => `host-${i}.shop.example`),
        { certificate: 'x', key: 'y' },
      ),
      'HG5005',
    ],
    ['a key that is none', certificate('d/tls', ['a.example'], { certificate: 'x', key: 'y' }), 'HG1004'],
  ])('%s', (_, bad, code) => {
    const planner = planned();
    const before = renderFiles(planner.desired, fixed);
    const change = planner.apply({ upserts: [bad], removals: [] });
    expect(change.rejections.map((rejection) => rejection.code)).toEqual([code]);
    expect([change.ops, renderFiles(planner.desired, fixed)]).toEqual([[], before]);
  });
});

test('an endpoint that is a listener of the node itself is refused by name, with what listens there', () => {
  const planner = new Planner({
    cluster: 'eu',
    assignments: { slots: 64, profiles: [], peerSlots: 16, backends: new Map(), peers: new Map() },
    ownListener: (address, port) => (address === '10.0.0.7' && port === 8080 ? 'the http listener' : undefined),
  });
  const { rejections } = planner.apply({
    upserts: [endpoints('d/a', 8080, ['10.0.0.8', '10.0.0.7']), endpoints('d/b', 80, ['10.0.0.7'])],
    removals: [],
  });
  expect(rejections).toMatchObject([
    {
      key: { type: 'endpoints', name: 'd/a-a' },
      code: 'HG1002',
      field: 'endpoints[1].address',
      message: '10.0.0.7 with port 8080 is the http listener of this node itself',
    },
  ]);
});
