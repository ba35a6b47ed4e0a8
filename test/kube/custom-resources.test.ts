import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificatePem } from '../../lib/policy/certificate.fixture.ts';
import { pluralOf } from '../../lib/policy/custom-resources/definition.ts';
import { API_VERSION, type PolicyKind, policyKinds } from '../../lib/policy/schemas.ts';
import type { KubeCluster } from './ground/kube-cluster.ts';
import { KubeGround } from './ground/kube-ground.ts';

const folder = join(import.meta.dirname, '../../deploy/chart/headgate/crds');
const kinds = Object.keys(policyKinds) as PolicyKind[];

let ground: KubeGround;
let eu: KubeCluster;

beforeAll(async () => {
  ground = await KubeGround.start({ clusters: ['eu'] });
  eu = ground.cluster('eu');
  await eu.kubectl(['apply', '-f', folder]);
  await eu.kubectl(['wait', '--for=condition=Established', '--timeout=30s', '-f', folder]);
  await eu.createNamespace('shop');
});

afterAll(async () => await ground[Symbol.asyncDispose]());

interface Answer {
  readonly code?: number;
  readonly details?: { readonly causes?: readonly { readonly field?: string; readonly message?: string }[] };
}

/** Creates it as kubectl would, and keeps nothing. @returns 201, or 422 with the fields and what is wrong with them */
async function dryRun(kind: PolicyKind, spec: unknown, name = 'eu'): Promise<readonly [number, ...string[]]> {
  const namespace = policyKinds[kind].namespaced ? 'shop' : undefined;
  const path = `/apis/${API_VERSION}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${pluralOf(kind)}`;
  const { status, body } = await eu.api.request('POST', `${path}?dryRun=All&fieldValidation=Strict`, {
    body: { apiVersion: API_VERSION, kind, metadata: { name, namespace }, spec },
  });
  const causes = (body as Answer).details?.causes ?? [];
  return [status, ...causes.map(({ field, message }) => `${field}: ${message}`)];
}

const ingress = { group: 'networking.k8s.io', kind: 'Ingress', name: 'shop' };
const tiers = [
  {
    clusters: [
      { name: 'eu', weight: 90 },
      { selector: { region: 'us' }, weight: 10 },
    ],
    holdFor: '1h30m',
  },
];
const manyTiers = Array.from({ length: 16 }, () => ({
  clusters: Array.from({ length: 256 }, (_, at) => ({ selector: { at: String(at) }, weight: 1 })),
}));

test('every kind has a definition', async () => {
  expect((await readdir(folder)).length).toBe(kinds.length);
});

test.each<[PolicyKind, unknown]>([
  ['TrafficPolicy', {}],
  ['TrafficPolicy', { targetRefs: [ingress, { group: '', kind: 'Namespace', name: 'shop' }], tiers }],
  ['TrafficPolicy', { targetRefs: [{ group: 'headgate.dev', kind: 'Route', name: 'shop.example/cart' }] }],
  ['TrafficPolicy', { defaults: { tiers: manyTiers }, overrides: { tiers: manyTiers } }],
  ['TrafficPolicy', { balance: { algorithm: 'Hash', hash: { source: true } }, timeouts: { connect: '75s' } }],
  ['TrafficPolicy', { backendTLS: { hostname: 'pod.example', ca: certificatePem }, proxyProtocol: 'V2' }],
  ['TrafficPolicy', { healthCheck: { type: 'HTTP', path: '/healthz?x=%20', status: { from: 200, to: 299 } } }],
  ['TrafficPolicy', { passthrough: true, limits: { connections: 1 }, healthCheck: { interval: '1s' } }],
  ['HostClaim', { hosts: ['*.shop.example', 'a.example'], namespaces: ['shop'], clusters: ['eu'] }],
  ['Cluster', { labels: { region: 'eu' }, cordoned: true, grants: { policies: 'Fleet', namespaces: ['shop'] } }],
])('%s %# is accepted', async (kind, spec) => {
  expect(policyKinds[kind].spec.safeParse(spec).error).toBeUndefined();
  expect(await dryRun(kind, spec)).toEqual([201]);
});

const unread = 'has no meaning with passthrough, which leaves requests unread';

/** Told by the schema where nothing of the message is given, else by a rule of ours. */
test.each<[PolicyKind, unknown, string]>([
  ['TrafficPolicy', { targetRefs: [{ ...ingress, kind: 'Gateway' }] }, 'spec.targetRefs[0].kind: Unsupported value'],
  ['TrafficPolicy', { targetRefs: [{ ...ingress, group: 'apps' }] }, 'spec.targetRefs[0]: Invalid value'],
  ['TrafficPolicy', { tiers: [{ clusters: [{ weight: 1 }] }] }, 'spec.tiers[0].clusters[0]: Invalid value'],
  [
    'TrafficPolicy',
    { overrides: { tiers: [{ clusters: [{ name: 'eu', selector: {}, weight: 1 }] }] } },
    'spec.overrides.tiers[0].clusters[0]: Invalid value',
  ],
  ['TrafficPolicy', { tiers: [{ clusters: [{ name: 'eu', weight: 0 }] }] }, 'weights sum to 0'],
  ['TrafficPolicy', { timeouts: { connect: '76s' } }, 'must be at least 1ms and at most 75s'],
  ['TrafficPolicy', { timeouts: { connect: '2 s' } }, 'spec.timeouts.connect: Invalid value'],
  ['TrafficPolicy', { healthCheck: { interval: '99ms' } }, 'must be at least 100ms and at most 24h'],
  ['TrafficPolicy', { retries: { attempts: 11 } }, 'spec.retries.attempts: Invalid value'],
  ['TrafficPolicy', { balance: { algorithm: 'Hash' } }, 'is missing: algorithm Hash needs it'],
  ['TrafficPolicy', { balance: { algorithm: 'Random', hash: { source: true } } }, 'goes with algorithm Hash only'],
  [
    'TrafficPolicy',
    { balance: { algorithm: 'Hash', hash: { header: 'a', cookie: 'b' } } },
    'spec.balance.hash: Invalid value',
  ],
  ['TrafficPolicy', { healthCheck: { path: '/' } }, 'goes with type HTTP only'],
  ['TrafficPolicy', { healthCheck: { type: 'None', rise: 1 } }, 'spec.healthCheck: Invalid value'],
  ['TrafficPolicy', { healthCheck: { type: 'HTTP', status: { from: 300, to: 200 } } }, 'must not be below from'],
  ['TrafficPolicy', { backendTLS: {} }, 'is missing: the certificate of an endpoint must carry it'],
  ['TrafficPolicy', { backendTLS: { insecure: true, ca: certificatePem } }, 'has no meaning with insecure'],
  [
    'TrafficPolicy',
    { backendTLS: { hostname: 'a', ca: '-----BEGIN PRIVATE KEY-----' } },
    'must hold certificates alone, no keys',
  ],
  ['TrafficPolicy', { passthrough: true, affinity: {} }, unread],
  ['TrafficPolicy', { defaults: { passthrough: true, retries: { attempts: 1 } } }, unread],
  [
    'TrafficPolicy',
    { overrides: { passthrough: true, healthCheck: { type: 'HTTP' } } },
    'must be TCP or None with passthrough',
  ],
  ['HostClaim', { hosts: ['*'], namespaces: ['shop'] }, 'spec.hosts[0]: Invalid value'],
  ['HostClaim', { hosts: ['a.example'] }, 'spec.namespaces: Required value'],
  ['Cluster', { grants: { policies: 'All' } }, 'spec.grants.policies: Unsupported value'],
])('%s %# is refused', async (kind, spec, expected) => {
  const [status, ...faults] = await dryRun(kind, spec);
  expect([status, faults.filter((fault) => fault.includes(expected))]).toEqual([422, [expect.any(String)]]);
});

test('a Cluster is called as a cluster can be', async () => {
  const [status, ...faults] = await dryRun('Cluster', {}, 'eu.west');
  expect([status, faults]).toEqual([422, [expect.stringContaining("must be a cluster's name")]]);
});

test('a fault names the field that it is about', async () => {
  const [, ...faults] = await dryRun('TrafficPolicy', { overrides: { balance: { algorithm: 'Hash' } } });
  expect(faults).toEqual([expect.stringMatching(/^spec\.overrides\.balance\.hash: /)]);
});

test('an unknown field is refused, as kubectl asks', async () => {
  expect((await dryRun('TrafficPolicy', { timeouts: { request: '2s' } }))[0]).toBe(400);
});

test('kubectl explains fields, knows short names and prints columns', async () => {
  expect(await eu.kubectl(['explain', 'trafficpolicies.spec.tiers.spillBelow'])).toContain('Percent. While the usable');
  expect(await eu.kubectl(['explain', 'hc.spec.hosts'])).toContain('reserves everything under it');
  const web = { apiVersion: API_VERSION, kind: 'TrafficPolicy', metadata: { name: 'web', namespace: 'shop' } };
  await eu.api.create({ ...web, spec: { targetRefs: [ingress] } });
  const condition = {
    reason: 'Accepted',
    message: '',
    observedGeneration: 1,
    lastTransitionTime: '2026-11-24T20:00:00Z',
  };
  await eu.api.patch(
    web,
    {
      status: {
        observedGeneration: 1,
        fleet: 'in force in 3 of 3 clusters for 12 routes',
        conditions: ['Accepted', 'Programmed'].map((type) => ({ ...condition, type, status: 'True' })),
      },
    },
    'status',
  );
  const [head, row] = (await eu.kubectl(['get', 'tp', '-n', 'shop', '-o', 'wide'])).split('\n');
  expect(head?.split(/ {2,}/)).toEqual(['NAME', 'TARGET', 'ACCEPTED', 'PROGRAMMED', 'FLEET', 'AGE']);
  expect(row?.split(/ {2,}/).slice(0, 5)).toEqual([
    'web',
    'shop',
    'True',
    'True',
    'in force in 3 of 3 clusters for 12 routes',
  ]);
  expect(await eu.kubectl(['get', 'headgate', '-n', 'shop', '-o', 'name'])).toBe('trafficpolicy.headgate.dev/web\n');
});
