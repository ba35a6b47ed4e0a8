import { expect, test } from 'vitest';
import { fleetOf, type SmallFleet, storeEntries } from '../../../test/hub/small-fleet.ts';
import { ObjectStatus } from '../../../proto/gen/headgate/v1/configured.ts';
import { FleetDraft, type FleetVersion } from '../../fleet/fleet-draft.ts';
import { HeldReports } from '../../fleet/held-reports.ts';
import { Compiler } from '../compiler.ts';
import { MOST_FINDINGS } from './encode.ts';
import { HUB } from './standings.ts';

const small: SmallFleet = {
  members: ['eu', 'us'],
  owners: { 'shop.example': 'shop', 'cart.example': 'shop' },
  ingresses: [
    { cluster: 'eu', name: 'shop/shop', rules: ['shop.example/ Prefix web:80', 'shop.example/cart Prefix web:80'] },
    { cluster: 'us', name: 'shop/shop', rules: ['shop.example/ Prefix web:80'] },
  ],
  services: [
    { cluster: 'eu', name: 'shop/web', ports: { '80': 1 } },
    { cluster: 'us', name: 'shop/web', ports: { '80': 1 } },
  ],
};
const shop = { group: '', kind: 'Namespace', name: 'shop' };

/** A compiler that is told of one change after another. */
class Hub {
  readonly compiler = new Compiler();
  #version: FleetVersion | undefined;
  #revision = 0n;

  constructor(first: SmallFleet) {
    this.step(first);
  }

  /** @returns per cluster what differs: "in force …", or the findings; undefined for what is gone. */
  step(given: Partial<SmallFleet>, remove = false): Record<string, Record<string, string | undefined>> {
    const draft = new FleetDraft(this.#version, new HeldReports(), (error) => {
      throw error;
    });
    for (const entry of storeEntries({ members: [], ...given }))
      draft.apply(remove ? { kind: 'delete', key: entry.key } : { kind: 'put', entry });
    this.#revision += 1n;
    const fixed = { epoch: { counter: 1n, id: 'test' }, fleetName: 'test', staleMs: new Map<string, number>() };
    const change = draft.done(this.#revision, fixed);
    const { statuses } = this.compiler.apply({ ...change, previous: this.#version?.state });
    this.#version = change;
    return Object.fromEntries(
      [...statuses].map(([cluster, names]) => [
        cluster,
        Object.fromEntries([...names].map(([name, one]) => [name, one && picture(ObjectStatus.decode(one.body))])),
      ]),
    );
  }
}

function picture({ findings, fleet }: ObjectStatus): string {
  return [...findings.map(({ reason, code, field }) => `${reason} ${code} ${field}`), fleet].join('; ');
}

test('a fleet without policies and faults has no statuses', () => {
  const hub = new Hub(small);
  expect([...hub.compiler.statuses('eu'), ...hub.compiler.statuses('us')]).toEqual([]);
  expect(hub.step({ services: [{ cluster: 'eu', name: 'shop/web', ports: { '80': 7 } }] })).toEqual({});
});

test('a policy is told to its own cluster alone, with what it decides in the fleet', () => {
  const hub = new Hub(small);
  const policy = { kind: 'TrafficPolicy', name: 'shop/p', cluster: 'eu', spec: { targetRefs: [shop], affinity: {} } };
  const name = 'TrafficPolicy/shop/p';
  expect(hub.step({ policies: [policy] })).toEqual({ eu: { [name]: 'in force in 1 of 1 cluster for 2 routes' } });

  const grant = { kind: 'Cluster', name: 'eu', spec: { grants: { namespaces: ['shop'] } } };
  expect(hub.step({ policies: [grant] })).toEqual({ eu: { [name]: 'in force in 2 of 2 clusters for 2 routes' } });
  // What does not concern it tells nothing.
  expect(hub.step({ services: [{ cluster: 'us', name: 'shop/web', ports: { '80': 3 } }] })).toEqual({});
  expect(
    hub.step({ ingresses: [{ cluster: 'us', name: 'shop/cart', rules: ['cart.example/ Prefix web:80'] }] }),
  ).toEqual({ eu: { [name]: 'in force in 2 of 2 clusters for 3 routes' } });

  const rival = {
    kind: 'TrafficPolicy',
    name: 'shop/q',
    rev: 9,
    spec: { targetRefs: [shop], affinity: { drain: '1s' } },
  };
  expect(hub.step({ policies: [rival] })).toEqual({
    [HUB]: { 'TrafficPolicy/shop/q': 'in force in 2 of 2 clusters for 3 routes' },
    eu: {
      [name]: ['cart', 'shop', 'shop']
        .map(() => 'Conflicted HG1007 spec.affinity')
        .concat('in force in 0 of 2 clusters for 0 routes')
        .join('; '),
    },
  });
  expect(hub.step({ policies: [rival] }, true)).toEqual({
    [HUB]: { 'TrafficPolicy/shop/q': undefined },
    eu: { [name]: 'in force in 2 of 2 clusters for 3 routes' },
  });
  expect(hub.step({ policies: [policy] }, true)).toEqual({ eu: { [name]: undefined } });
});

test('targets are looked at again when they come and go', () => {
  const hub = new Hub(small);
  const targetRefs = [
    { group: 'networking.k8s.io', kind: 'Ingress', name: 'late' },
    { group: 'headgate.dev', kind: 'Route', name: 'late.example/' },
  ];
  const name = 'TrafficPolicy/shop/p';
  const [ingress, route] = ['TargetNotFound HG1008 spec.targetRefs[0]', 'TargetNotFound HG1008 spec.targetRefs[1]'];
  expect(
    hub.step({
      policies: [{ kind: 'TrafficPolicy', name: 'shop/p', cluster: 'us', spec: { targetRefs, affinity: {} } }],
    }),
  ).toEqual({ us: { [name]: `${ingress}; ${route}; governs no route` } });
  const late = { cluster: 'eu', name: 'shop/late', rules: ['late.example/ Prefix web:80'] };
  expect(hub.step({ ingresses: [late], owners: { 'late.example': 'shop' } })).toEqual({
    us: { [name]: 'governs no route' },
  });
  expect(hub.step({ ingresses: [late] }, true)).toEqual({ us: { [name]: `${ingress}; ${route}; governs no route` } });
});

test('a fleet policy of a cluster that was granted none is told to be invalid', () => {
  const hub = new Hub(small);
  const policies = [{ kind: 'TrafficPolicy', name: 'ops/all', cluster: 'us', spec: { affinity: {} } }];
  const name = 'TrafficPolicy/ops/all';
  expect(hub.step({ policies })).toEqual({ us: { [name]: 'Invalid HG1002 spec.targetRefs; governs no route' } });
  expect(hub.step({ policies: [{ kind: 'Cluster', name: 'us', spec: { grants: { policies: 'Fleet' } } }] })).toEqual({
    us: { [name]: 'in force in 2 of 2 clusters for 2 routes' },
  });
});

test('an Ingress is told while something is not as asked', () => {
  const hub = new Hub(small);
  const rival = { cluster: 'us', name: 'rival/shop', rev: 9, rules: ['shop.example/ Prefix web:80'] };
  expect(hub.step({ ingresses: [rival] })).toEqual({
    us: { 'Ingress/rival/shop': 'Conflicted HG1006 spec.rules[0]; ' },
  });
  expect(hub.step({ ingresses: [rival] }, true)).toEqual({ us: { 'Ingress/rival/shop': undefined } });
});

test('of many findings those that refuse come first, and the rest is counted', () => {
  const hosts = Array.from({ length: 40 }, (_, at) => `h${at}.example`);
  const hub = new Hub({
    members: ['eu'],
    owners: { 'h39.example': 'rival' },
    ingresses: [{ cluster: 'eu', name: 'shop/shop', rules: hosts.map((host) => `${host}/ Prefix none:80`) }],
  });
  const [{ body } = { body: new Uint8Array() }] = hub.compiler.statuses('eu');
  const { findings, fleet } = ObjectStatus.decode(body);
  expect(findings).toHaveLength(MOST_FINDINGS);
  expect(findings[0]).toMatchObject({ accepted: false, code: 'HG1006', field: 'spec.rules[39]' });
  expect(fleet).toBe('32 of 40 findings are here, all at the hub');
});

test('the same fleet gives the same bytes whatever order it came in', () => {
  const given: SmallFleet = {
    ...small,
    policies: ['eu', 'us'].map((cluster) => ({
      kind: 'TrafficPolicy',
      name: 'shop/p',
      cluster,
      spec: { targetRefs: [shop], exposure: 'Everywhere' },
    })),
  };
  const entries = storeEntries(given);
  expect(bytes(fleetOf(entries))).toEqual(bytes(fleetOf(entries.toReversed())));
});

function bytes(fleet: FleetVersion): unknown {
  const compiler = new Compiler();
  const rest = { previous: undefined, clustersTouched: true, everything: true, policies: [], revision: 1n };
  compiler.apply({ ...fleet, ...rest, ingresses: new Set(), touchedHosts: new Set(fleet.index.hosts.keys()) });
  return ['eu', 'us'].map((cluster) => [...compiler.statuses(cluster)].map(({ name, digest }) => [name, digest]));
}
