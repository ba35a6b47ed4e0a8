import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { certificatePem } from '../certificate.fixture.ts';
import { type PolicyKind, policyKinds } from '../schemas.ts';
import { objectSchema } from './definition.ts';
import { structuralFaults, valuesOf } from './structural.fixture.ts';
import type { StructuralSchema } from './structural-schema.ts';

const kinds = Object.keys(policyKinds) as PolicyKind[];

function specSchema(kind: PolicyKind): StructuralSchema {
  const spec = objectSchema(kind).properties?.['spec'];
  if (spec === undefined) throw new Error(`${kind} has no spec`);
  return spec;
}

/** What zod has against it beside refinements, which are the rules' part. */
function plainFaults(kind: PolicyKind, value: unknown): string[] {
  const { error } = policyKinds[kind].spec.safeParse(value);
  return (error?.issues ?? []).flatMap(({ code, path }) => (code === 'custom' ? [] : [path.join('.')]));
}

test.each(kinds)('the schema of %s refuses what zod refuses, and nothing else', (kind) => {
  const schema = specSchema(kind);
  const seen = { accepted: 0, refused: 0 };
  for (const wrong of [false, true]) {
    fc.assert(
      fc.property(valuesOf(schema, wrong), (value) => {
        const [bySchema, byZod] = [structuralFaults(schema, value), plainFaults(kind, value)];
        seen[byZod.length === 0 ? 'accepted' : 'refused'] += 1;
        expect({ value, bySchema, byZod, agree: (bySchema.length === 0) === (byZod.length === 0) }).toMatchObject({
          agree: true,
        });
      }),
      { numRuns: 200 },
    );
  }
  expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(20);
});

const tiers = [
  {
    clusters: [
      { name: 'eu', weight: 90 },
      { selector: { region: 'us' }, weight: 10 },
    ],
    holdFor: '1h30m',
  },
];

test.each<[PolicyKind, unknown]>([
  ['TrafficPolicy', {}],
  ['TrafficPolicy', { targetRefs: [{ group: '', kind: 'Namespace', name: 'shop' }], tiers, exposure: 'Everywhere' }],
  ['TrafficPolicy', { defaults: { tiers }, overrides: { onStale: { after: '1m', action: 'Drop' } } }],
  ['TrafficPolicy', { balance: { algorithm: 'Hash', hash: { source: true } }, timeouts: { connect: '75s' } }],
  ['TrafficPolicy', { backendTLS: { hostname: 'pod.example', ca: certificatePem }, proxyProtocol: 'V2' }],
  ['TrafficPolicy', { healthCheck: { type: 'HTTP', path: '/healthz?x=%20', status: { from: 200, to: 299 } } }],
  ['HostClaim', { hosts: ['*.shop.example', 'a.example'], namespaces: ['shop'], clusters: ['eu'] }],
  ['Cluster', { labels: { region: 'eu' }, cordoned: true, grants: { policies: 'Fleet', namespaces: ['shop'] } }],
])('%s accepts %j', (kind, spec) => {
  expect(structuralFaults(specSchema(kind), spec)).toEqual([]);
  expect(policyKinds[kind].spec.safeParse(spec).error).toBeUndefined();
});

test.each<[PolicyKind, unknown, string]>([
  ['TrafficPolicy', { targetRefs: [{ group: '', kind: 'Gateway', name: 'a' }] }, 'spec.targetRefs[0].kind: enum'],
  ['TrafficPolicy', { tiers: [] }, 'spec.tiers: items'],
  ['TrafficPolicy', { tiers: [{ clusters: [{ name: 'eu' }] }] }, 'spec.tiers[0].clusters[0]: weight is missing'],
  [
    'TrafficPolicy',
    { overrides: { tiers: [{ clusters: [{ name: 'EU', weight: 1 }] }] } },
    'spec.overrides.tiers[0].clusters[0].name: pattern',
  ],
  ['TrafficPolicy', { timeouts: { connect: '2 s' } }, 'spec.timeouts.connect: pattern'],
  ['TrafficPolicy', { timeouts: { request: '2s' } }, 'spec.timeouts: unknown field request'],
  ['TrafficPolicy', { retries: { attempts: 11 } }, 'spec.retries.attempts: range'],
  ['TrafficPolicy', { healthCheck: { path: 'healthz' } }, 'spec.healthCheck.path: pattern'],
  ['TrafficPolicy', { balance: { algorithm: 'Hash', hash: { source: false } } }, 'spec.balance.hash.source: enum'],
  ['TrafficPolicy', { slowStart: null }, 'spec.slowStart: null where string is wanted'],
  ['HostClaim', { hosts: ['*'], namespaces: ['shop'] }, 'spec.hosts[0]: pattern'],
  ['HostClaim', { hosts: ['a.example'] }, 'spec: namespaces is missing'],
  ['Cluster', { labels: { region: 1 } }, 'spec.labels.region: integer where string is wanted'],
  ['Cluster', { grants: { policies: 'All' } }, 'spec.grants.policies: enum'],
])('%s refuses %j', (kind, spec, fault) => {
  expect(structuralFaults(specSchema(kind), spec)).toEqual([fault]);
  expect(policyKinds[kind].spec.safeParse(spec).success).toBe(false);
});
