import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fleetOf, type SmallFleet, storeEntries } from '../../test/hub/small-fleet.ts';
import { compare } from '../../lib/compare.ts';
import { ObjectStatus } from '../../proto/gen/headgate/v1/configured.ts';
import { FleetDraft, type FleetVersion } from '../fleet/fleet-draft.ts';
import { HeldReports } from '../fleet/held-reports.ts';
import type { Entry } from '../store/store.ts';
import { standingName } from './standing/encode.ts';
import { HUB } from './standing/standings.ts';
import { Compiler } from './compiler.ts';

const cluster = fc.constantFrom('eu', 'us', 'ap');
const namespace = fc.constantFrom('shop', 'rival');
const host = fc.constantFrom('a.example', 'b.example', '*.c.example', 'x.c.example', '');
/** Whether a step removes: sometimes. */
const seldom = fc.integer({ min: 0, max: 4 }).map((n) => n === 0);
const rev = fc.integer({ min: 1, max: 5 });
const target = fc.constantFrom(
  { group: '', kind: 'Namespace', name: 'shop' },
  { group: 'networking.k8s.io', kind: 'Ingress', name: 'web' },
  { group: 'headgate.dev', kind: 'Route', name: 'a.example/' },
);
const spec = fc.record(
  {
    targetRefs: fc.array(target, { maxLength: 2 }),
    exposure: fc.constantFrom('Declared', 'Everywhere'),
    tiers: fc.constantFrom(
      [{ clusters: [{ name: 'eu', weight: 1 }] }],
      [{ clusters: [{ selector: { region: 'x' }, weight: 1 }] }],
    ),
    affinity: fc.constant({}),
  },
  { requiredKeys: ['targetRefs'] },
);

const piece: fc.Arbitrary<Partial<SmallFleet>> = fc.oneof(
  fc
    .record({ cluster, namespace, name: fc.constantFrom('web', 'api'), rev, host, path: fc.constantFrom('', 'p') })
    .map(({ cluster, namespace, name, rev, host, path }) => ({
      ingresses: [{ cluster, name: `${namespace}/${name}`, rev, rules: [`${host}/${path} Prefix ${name}:80`] }],
    })),
  fc
    .record({ cluster, namespace, name: fc.constantFrom('web', 'api'), ready: fc.nat(3) })
    .map(({ cluster, namespace, name, ready }) => ({
      services: [{ cluster, name: `${namespace}/${name}`, ports: { '80': ready } }],
    })),
  fc.record({ namespace, spec, rev }).map(({ namespace, spec, rev }) => ({
    policies: [{ kind: 'TrafficPolicy', name: `${namespace}/p`, rev, spec }],
  })),
  fc.record({ cluster, namespace, spec, rev }).map(({ cluster, namespace, spec, rev }) => ({
    policies: [{ kind: 'TrafficPolicy', name: `${namespace}/m`, cluster, rev, spec }],
  })),
  fc.record({ namespace, hosts: fc.constantFrom(['a.example'], ['*.c.example']) }).map(({ namespace, hosts }) => ({
    policies: [{ kind: 'HostClaim', name: 'claim', spec: { hosts, namespaces: [namespace] } }],
  })),
  fc
    .record({ cluster, labels: fc.constantFrom({}, { region: 'x' }), fleet: fc.boolean() })
    .map(({ cluster, labels, fleet }) => ({
      policies: [
        { kind: 'Cluster', name: cluster, spec: { labels, ...(fleet ? { grants: { policies: 'Fleet' } } : {}) } },
      ],
    })),
  cluster.map((name) => ({ members: [name] })),
  fc.record({ host: fc.constantFrom('a.example', 'x.c.example'), namespace }).map(({ host, namespace }) => ({
    owners: { [host]: namespace },
  })),
);

function pictures(compiler: Compiler): unknown {
  return {
    hosts: compiler.hosts().map((name) => compiler.get(name)),
    statuses: [HUB, 'ap', 'eu', 'us'].map((name) =>
      [...compiler.statuses(name)]
        .map(({ body }) => ObjectStatus.decode(body))
        .sort((a, b) => compare(standingName(a), standingName(b))),
    ),
  };
}

test('what a change touches is enough: step by step gives what compiling everything gives', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(piece, seldom), { minLength: 10, maxLength: 60 }), (steps) => {
      const store = new Map<string, Entry>();
      const compiler = new Compiler();
      const held = new HeldReports();
      let version: FleetVersion | undefined;
      // Most of a history happens to clusters that are members.
      const begin: [Partial<SmallFleet>, boolean] = [{ members: ['eu', 'us'] }, false];
      for (const [given, remove] of [begin, ...steps]) {
        const entries = storeEntries({ members: [], ...given });
        const draft = new FleetDraft(version, held, (error) => {
          throw error;
        });
        for (const entry of entries) {
          if (remove) store.delete(entry.key);
          else store.set(entry.key, entry);
          draft.apply(remove ? { kind: 'delete', key: entry.key } : { kind: 'put', entry });
        }
        const change = draft.done(1n, { epoch: { counter: 1n, id: 'test' }, fleetName: 'test', staleMs: new Map() });
        compiler.apply({ ...change, previous: version?.state });
        version = change;
      }
      const whole = fleetOf([...store.values()].toReversed());
      const fresh = new Compiler();
      fresh.apply({
        ...whole,
        previous: undefined,
        touchedHosts: new Set(whole.index.hosts.keys()),
        clustersTouched: true,
        everything: true,
        policies: [],
        ingresses: new Set(),
        revision: 1n,
      });
      expect(pictures(compiler)).toEqual(pictures(fresh));
    }),
    { numRuns: 200 },
  );
});
