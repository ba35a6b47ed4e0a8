import { describe, expect, test } from 'vitest';
import { resource } from '../../../lib/sync/index.ts';
import { BackendHealth, Problem, Severity, Verdict } from '../../../proto/gen/headgate/v1/reported.ts';
import { fleetOf, type SmallFleet, storeEntries } from '../../../test/hub/small-fleet.ts';
import { compileHost } from '../../compile/compile-host.ts';
import { policyStatuses } from '../../compile/policy/statuses.ts';
import { encodeStoredReport } from '../../ingest/stored-report.ts';
import { keys } from '../../store/keys.ts';
import type { Entry } from '../../store/store.ts';
import type { HubView } from '../../view.ts';
import { clusterItems } from './cluster-items.ts';
import { eventItems } from './event-items.ts';
import { ingressItems, policyItems } from './object-items.ts';
import { routeItems } from './route-items.ts';

const fleet: SmallFleet = {
  members: ['eu', 'us'],
  owners: { 'shop.example': 'shop' },
  ingresses: ['eu', 'us'].map((cluster, i) => ({
    cluster,
    name: 'shop/shop',
    rev: 5 + i,
    rules: ['shop.example/ Prefix web:80'],
  })),
  services: ['eu', 'us'].map((cluster) => ({ cluster, name: 'shop/web', ports: { '80': 3 } })),
  policies: [
    {
      kind: 'TrafficPolicy',
      name: 'shop/good',
      cluster: 'eu',
      spec: { targetRefs: [{ group: '', kind: 'Namespace', name: 'shop' }], affinity: { cookie: true } },
    },
  ],
};

function viewOf(more: readonly Entry[] = []): HubView {
  const { state, index } = fleetOf([...storeEntries(fleet), ...more]);
  const compiled = (host: string) => compileHost(state, index, host);
  return {
    state: () => state,
    hosts: () => ['shop.example'],
    compiled,
    policyStatuses: () => policyStatuses(state, compiled),
    standing: () => undefined,
    presence: { connected: () => true, heardAgoMs: () => 0, acknowledgedRevision: () => 1n },
  };
}

function report(type: string, name: string, body: Uint8Array): Entry {
  const value = encodeStoredReport({ resource: resource(type, name, body) });
  return { key: keys.report('eu', type, name), value, createRevision: 9n, modRevision: 9n };
}

const impaired = [
  { node: 'n1', live: 2, total: 3 },
  { node: 'n2', live: 1, total: 3 },
];
const health = report(
  'health',
  'shop/web/80',
  BackendHealth.encode({ namespace: 'shop', service: 'web', port: '80', nodes: 4, impaired }).finish(),
);

const words = { field: 'spec.rules[0].host', message: 'refused it', remedy: 'mend it', haproxy: 'no such thing' };
const verdict = (type: string, name: string, nodes: readonly string[]) =>
  report(
    'verdict',
    `${type}/${name}`,
    Verdict.encode({
      type,
      name,
      digest: Buffer.alloc(32),
      programmed: 0,
      nodes: 2,
      rejections: nodes.map((node) => ({ node, code: 'HG5003', transient: false, ...words })),
    }).finish(),
  );

const problem = (kind: string, name: string, severity: Severity) =>
  report(
    'problem',
    `HG1002/${kind}/shop/${name}#spec.tiers`,
    Problem.encode({
      code: 'HG1002',
      kind,
      namespace: 'shop',
      name,
      field: 'spec.tiers',
      message: 'must be a list',
      remedy: 'write one',
      place: 'a.yaml:3',
      severity,
    }).finish(),
  );

test('a fleet where all is well has none', () => {
  const view = viewOf();
  expect(routeItems(view).map(({ problems, rejections }) => [problems, rejections])).toEqual([[0, []]]);
  expect(routeItems(view)[0]?.clusters.map(({ ready, live }) => [ready, live])).toEqual([
    [3, 3],
    [3, 3],
  ]);
  expect(ingressItems(view).map(({ problems }) => problems)).toEqual([0, 0]);
  expect(clusterItems(view).map(({ problems }) => problems)).toEqual([0, 0]);
  expect(eventItems(view)).toEqual([]);
});

test('endpoints that HAProxy has taken out are told where fewest are live', () => {
  const view = viewOf([health]);
  expect(eventItems(view)).toMatchObject([
    {
      severity: 'Warning',
      code: 'HG5007',
      cluster: 'eu',
      kind: 'Service',
      namespace: 'shop',
      name: 'web',
      field: 'port 80',
      message: 'HAProxy finds 1 of 3 ready endpoints live at 2 of 4 nodes (n1, n2)',
    },
  ]);
  const [route] = routeItems(view);
  expect(route?.clusters.map(({ name, ready, live }) => `${name} ${live}/${ready}`)).toEqual(['eu 1/3', 'us 3/3']);
  expect(route?.problems).toBe(1);
  expect(ingressItems(view).map(({ problems }) => problems)).toEqual([1, 0]);
  expect(clusterItems(view).map(({ problems }) => problems)).toEqual([1, 0]);
});

test('rejections count by resource and carry the words of node and HAProxy', () => {
  const view = viewOf([
    verdict('host', 'shop.example', ['n1', 'n2']),
    verdict('backend', 'shop/web/80', ['n1']),
    verdict('host', 'other.example', ['n1']),
  ]);
  const [route] = routeItems(view);
  expect(route?.problems).toBe(2);
  expect(route?.rejections).toHaveLength(3);
  expect(route?.rejections[0]).toEqual({
    cluster: 'eu',
    node: 'n1',
    resource: 'host/shop.example',
    code: 'HG5003',
    transient: false,
    ...words,
  });
  expect(ingressItems(view).map(({ problems }) => problems)).toEqual([2, 0]);
  expect(clusterItems(view).map(({ problems }) => problems)).toEqual([3, 0]);
  expect(eventItems(view)[0]).toMatchObject({
    reason: 'Rejected',
    kind: 'backend',
    name: 'shop/web/80',
    field: words.field,
    message: 'node n1: refused it (HAProxy: no such thing); the last good version serves',
    remedy: words.remedy,
  });
});

/** `<cluster> <name> <reason> <accepted> <field> <spec>` of every policy. */
const conditions = (more: readonly Entry[]) =>
  policyItems(viewOf(more), new Map()).map(({ name, cluster, reason, accepted, field, spec }) => {
    const last = spec === null ? 'nothing' : 'last good';
    return `${cluster ?? 'hub'} ${name} ${reason} ${accepted} ${field} ${last}`;
  });

describe('a policy that its cluster refused', () => {
  test('is listed with what is wrong with it, though the hub has no more of it', () => {
    expect(conditions([problem('TrafficPolicy', 'bad', Severity.ERROR)])).toEqual([
      'eu bad Invalid false spec.tiers nothing',
      'eu good Accepted true  last good',
    ]);
  });

  test('so is a kind of a later release; a warning refuses nothing, nor is another kind a policy', () => {
    const more = [
      problem('TLSPolicy', 'later', Severity.ERROR),
      problem('TrafficPolicy', 'good', Severity.WARNING),
      problem('Ingress', 'web', Severity.ERROR),
    ];
    expect(conditions(more)).toEqual(['eu later Invalid false spec.tiers nothing', 'eu good Accepted true  last good']);
  });

  test('says so beside its last good version', () => {
    expect(conditions([problem('TrafficPolicy', 'good', Severity.ERROR)])).toEqual([
      'eu good Invalid false spec.tiers last good',
    ]);
  });
});
