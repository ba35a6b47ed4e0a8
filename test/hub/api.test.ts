import { hash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { request } from 'node:https';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import type {
  ApplyResponse,
  ClusterItem,
  ExplainItem,
  GuardItem,
  ListResponse,
  PolicyItem,
  RouteItem,
  StatusResponse,
  WeightsResponse,
} from '../../hub/api/types.ts';
import type { ClientConfig } from '../../lib/config/client-config.ts';
import { makeKeyAndCsr } from '../../lib/identity/key.ts';
import { Authority } from '../../lib/identity/authority.ts';
import type { Publication } from '../../lib/sync/index.ts';
import { type RunningHub, ingress, service, startHub } from './running-hub.fixture.ts';

const tokens = [
  { name: 'watcher', role: 'viewer' as const, sha256: hash('sha256', 'look') },
  { name: 'worker', role: 'operator' as const, sha256: hash('sha256', 'work') },
];

let hub: RunningHub;
let eu: Publication;

beforeAll(async () => {
  hub = await startHub({ tokens });
  eu = await hub.join('eu');
  const us = await hub.join('us');
  eu.publish({ upserts: [service(2), ingress('shop', ['shop.example', 'www.example'])], removals: [] });
  us.publish({ upserts: [service(1), ingress('shop', ['shop.example'])], removals: [] });
  await vi.waitFor(async () => {
    const [route] = (await get<RouteItem>('routes', 'shop.example')).items;
    if (route?.clusters.map(({ name, ready }) => `${name}:${ready}`).join() !== 'eu:2,us:1') throw new Error('not yet');
  }, 10_000);
});

afterAll(async () => {
  await hub[Symbol.asyncDispose]();
});

async function get<T>(kind: string, name?: string): Promise<ListResponse<T>> {
  return await hub.client.call('GET', `/v1/get/${kind}`, { query: { name } });
}

async function apply(manifests: string, dryRun = false): Promise<ApplyResponse> {
  return await hub.client.call('POST', '/v1/apply', { body: { manifests, source: 'test.yaml', dryRun } });
}

const policy = (name: string, spec: string) => `apiVersion: headgate.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: ${name}, namespace: shop }
spec: ${spec}
`;

interface Answer {
  readonly status: number;
  readonly code: string;
}

/** One request with whatever credential. */
async function knock(path: string, options: object, method = 'GET', body = ''): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const call = request(`https://${hub.http}${path}`, { rejectUnauthorized: false, agent: false, method, ...options });
    call.on('error', reject);
    call.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        const { code = '' } = JSON.parse(text) as { code?: string };
        resolve({ status: response.statusCode ?? 0, code });
      });
    });
    call.end(body);
  });
}

const labelled = (label: string) =>
  `{ apiVersion: headgate.dev/v1alpha1, kind: Cluster, metadata: { name: us }, spec: { labels: { by: ${label} } } }`;

async function weights(body: object): Promise<WeightsResponse> {
  return await hub.client.call('POST', '/v1/weights', { body });
}

async function cordon(cordoned: boolean): Promise<{ readonly changed: boolean }> {
  return await hub.client.call('PUT', '/v1/clusters/eu/cordon', { body: { cordoned } });
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

describe('credentials', () => {
  test('admin.yaml is private and holds server, CA and client certificate', () => {
    expect(statSync(hub.config).mode & 0o777).toBe(0o600);
    const { contexts, current } = parse(readFileSync(hub.config, 'utf8')) as ClientConfig;
    expect(contexts).toMatchObject([{ name: current, server: `https://${hub.http}` }]);
    expect(contexts[0]?.ca).toContain('BEGIN CERTIFICATE');
  });

  test('none, an unknown token and a strange certificate are refused', async () => {
    const { privateKey, csr } = await makeKeyAndCsr();
    const strange = await Authority.create('Other CA', 'fleet', Date.now());
    const cert = await strange.issueOperator('fleet', 'admin', { csr, now: Date.now(), lifetime: 60_000 });
    expect(await knock('/v1/status', {})).toEqual({ status: 401, code: 'HG2005' });
    expect(await knock('/v1/status', bearer('guess'))).toEqual({ status: 401, code: 'HG2005' });
    expect(await knock('/v1/status', { cert, key: privateKey })).toEqual({ status: 401, code: 'HG2005' });
    expect(await knock('/v1/nothing', {})).toEqual({ status: 401, code: 'HG2005' });
  });

  test('the certificate of a cluster agent is no credential here', async () => {
    const file = `${hub.folder}/agent-eu/identity/credentials.json`;
    const { control } = JSON.parse(readFileSync(file, 'utf8')) as {
      readonly control: { readonly certificate: string; readonly privateKey: string };
    };
    const { certificate, privateKey } = control;
    expect(await knock('/v1/status', { cert: certificate, key: privateKey })).toEqual({ status: 403, code: 'HG2006' });
  });

  test('a role may do what it may, and no more', async () => {
    expect(await knock('/v1/status', bearer('look'))).toMatchObject({ status: 200 });
    const change = ['/v1/clusters/us/cordon', 'PUT', '{"cordoned":false}'] as const;
    expect(await knock(change[0], bearer('look'), change[1], change[2])).toEqual({ status: 403, code: 'HG2006' });
    expect(await knock(change[0], bearer('work'), change[1], change[2])).toMatchObject({ status: 200 });
    expect(await knock('/v1/clusters', bearer('work'), 'POST', '{"name":"ap"}')).toEqual({
      status: 403,
      code: 'HG2006',
    });
  });

  test('a body that is too large, no JSON or of another shape is refused', async () => {
    const big = JSON.stringify({ host: 'x'.repeat(100_000), weights: {} });
    expect(await knock('/v1/weights', bearer('work'), 'POST', big)).toEqual({ status: 400, code: 'HG1002' });
    expect(await knock('/v1/weights', bearer('work'), 'POST', '{')).toEqual({ status: 400, code: 'HG1001' });
    expect(await knock('/v1/weights', bearer('work'), 'POST', '{"host":1}')).toEqual({ status: 400, code: 'HG1002' });
    expect(await knock('/v1/weights', bearer('work'))).toEqual({ status: 404, code: 'HG2007' });
  });
});

describe('objects', () => {
  test('are created, changed, left alone and deleted, each by itself', async () => {
    const first = policy('one', '{ targetRefs: [{ group: "", kind: Namespace, name: shop }], exposure: Declared }');
    expect((await apply(first, true)).results).toMatchObject([{ action: 'created', revision: null, before: null }]);
    expect((await get<PolicyItem>('policies', 'one')).items).toEqual([]);
    const mixed = `${first}---\n${policy('two', '{ exposure: Sometimes }')}---\nkind: Service\napiVersion: v1\nmetadata: { name: web }\nspec: {}\n`;
    const { results } = await apply(mixed);
    expect(results.map(({ object, action, error }) => [object, action, error?.code, error?.field])).toEqual([
      ['TrafficPolicy shop/one', 'created', undefined, undefined],
      ['Service default/web', 'failed', 'HG1002', 'kind'],
      ['TrafficPolicy shop/two', 'failed', 'HG1002', 'spec.exposure'],
    ]);
    expect((await apply(first)).results).toMatchObject([{ action: 'unchanged' }]);
    expect((await apply(first.replace('Declared', 'Everywhere'))).results).toMatchObject([{ action: 'configured' }]);
    const [item] = (await get<PolicyItem>('trafficpolicies', 'shop/one')).items;
    expect(item).toMatchObject({ generation: '2', cluster: null, accepted: true, spec: { exposure: 'Everywhere' } });
    const deleted = await hub.client.call<ApplyResponse>('POST', '/v1/delete', { body: { manifests: first } });
    expect(deleted.results).toMatchObject([{ action: 'deleted' }]);
    const again = await hub.client.call<ApplyResponse>('POST', '/v1/delete', { body: { manifests: first } });
    expect(again.results).toMatchObject([{ action: 'failed', error: { code: 'HG2007' } }]);
  });

  test('a text without anything for the hub is an error', async () => {
    await expect(apply('')).rejects.toMatchObject({ code: 'HG1002' });
  });

  test('racing writers of one object all get through, one after the other', async () => {
    const names = Array.from({ length: 8 }, (_, i) => `racer-${i}`);
    const done = await Promise.all(names.map(async (name) => await apply(labelled(name))));
    const revisions = done.map(({ results }) => results[0]?.revision);
    expect(new Set(revisions).size).toBe(names.length);
  });
});

describe('traffic', () => {
  test('weights write a policy for the route, keep its other fields, and explain agrees', async () => {
    const created = await weights({ host: 'shop.example', weights: { eu: 90, us: 10 } });
    expect(created).toMatchObject({ action: 'created', target: 'shop.example' });
    const name = created.policy.split('/')[1] ?? '';
    const [written] = (await get<PolicyItem>('policies', name)).items;
    expect(written?.spec).toEqual({
      targetRefs: [{ group: 'headgate.dev', kind: 'Route', name: 'shop.example' }],
      tiers: [
        {
          clusters: [
            { name: 'eu', weight: 90 },
            { name: 'us', weight: 10 },
          ],
        },
      ],
    });
    const [explained] = (
      await hub.client.call<ListResponse<ExplainItem>>('GET', '/v1/explain', {
        query: { url: 'https://shop.example/cart', cluster: 'us' },
      })
    ).items;
    expect(explained).toMatchObject({ outcome: 'served', split_source: 'computed', route: { owner: 'shop' } });
    expect(explained?.clusters.map(({ cluster, share }) => [cluster, share])).toEqual([
      ['eu', 90_000],
      ['us', 10_000],
    ]);
    expect(explained?.fields.find(({ field }) => field === 'tiers')?.winner).toContain(name);

    const edited = { ...(written?.spec as object), affinity: { cookie: true, drain: '5m' } };
    await apply(policy(name, JSON.stringify(edited)));
    expect(await weights({ host: 'shop.example', weights: { eu: 1, us: 1 } })).toMatchObject({
      action: 'configured',
      policy: created.policy,
    });
    expect((await get<PolicyItem>('policies', name)).items[0]?.spec).toMatchObject({ affinity: { drain: '5m' } });
  });

  test('weights that cannot be are refused by name', async () => {
    await expect(weights({ host: 'shop.example', weights: { eu: 0, us: 0 } })).rejects.toMatchObject({
      code: 'HG1009',
    });
    await expect(weights({ host: 'shop.example', weights: { mars: 1 } })).rejects.toMatchObject({ code: 'HG1008' });
    await expect(weights({ host: 'other.example', weights: { eu: 1 } })).rejects.toMatchObject({ code: 'HG2007' });
    await expect(weights({ host: 'shop.example', path: '/no', weights: { eu: 1 } })).rejects.toMatchObject({
      code: 'HG2007',
    });
  });

  test('a cordon is seen at once and keeps the labels', async () => {
    expect(await cordon(true)).toMatchObject({ changed: true });
    expect(await cordon(true)).toMatchObject({ changed: false });
    expect((await get<ClusterItem>('clusters', 'eu')).items).toMatchObject([{ cordoned: true, connected: true }]);
    expect(await cordon(false)).toMatchObject({ changed: true });
  });
});

test('a guard holds a shrinking report until it is confirmed', async () => {
  const many = Array.from({ length: 20 }, (_, i) => ingress(`many-${i}`, [`many-${i}.example`]));
  eu.publish({ upserts: many, removals: [] });
  await vi.waitFor(async () => expect((await get('ingresses')).items).toHaveLength(22), 10_000);
  eu.publish({ upserts: [], removals: many });
  const guards = async () => (await hub.client.call<ListResponse<GuardItem>>('GET', '/v1/guards')).items;
  await vi.waitFor(async () => expect(await guards()).toHaveLength(1), 10_000);
  const [guard] = await guards();
  expect(guard).toMatchObject({ cluster: 'eu', guard: 'shrink' });
  const status = await hub.client.call<StatusResponse>('GET', '/v1/status');
  expect(status.guards).toHaveLength(1);
  expect((await get('ingresses')).items).toHaveLength(22);
  await hub.client.call('POST', `/v1/guards/${guard?.id ?? ''}/confirm`);
  expect((await get('ingresses')).items).toHaveLength(2);
  expect(await guards()).toEqual([]);
});

test('a removed cluster takes its routes along and its certificate is worth nothing', async () => {
  const ap = await hub.join('ap');
  ap.publish({ upserts: [service(1), ingress('own', ['ap.example'])], removals: [] });
  await vi.waitFor(async () => expect((await get('routes', 'ap.example')).items).toHaveLength(1), 10_000);
  const removed = await hub.client.call('DELETE', '/v1/clusters/ap');
  expect(removed).toMatchObject({ ingresses: 1, hosts: ['ap.example'] });
  expect((await get('clusters', 'ap')).items).toEqual([]);
  expect((await get('routes', 'ap.example')).items).toEqual([]);
});

test.each(['routes', 'hosts', 'ingresses', 'clusters', 'nodes', 'policies', 'certificates', 'events'])(
  'get %s answers the same twice',
  async (kind) => {
    const [one, two] = [await get<Record<string, unknown>>(kind), await get<Record<string, unknown>>(kind)];
    const still = (list: typeof one) => list.items.map((item) => ({ ...item, age_s: 0 }));
    expect(still(one)).toEqual(still(two));
  },
);

test('lists are sorted, and an unknown kind is refused', async () => {
  const names = (await get<{ name: string }>('hosts')).items.map(({ name }) => name);
  expect(names).toEqual([...names].sort());
  await expect(get('gadgets')).rejects.toMatchObject({ code: 'HG2001' });
});

test('ops says it is ready and counts', async () => {
  expect((await fetch(`http://${hub.ops}/livez`)).status).toBe(200);
  expect(await (await fetch(`http://${hub.ops}/readyz?verbose`)).text()).toContain('[+]store ok');
  const metrics = await (await fetch(`http://${hub.ops}/metrics`)).text();
  expect(metrics).toContain('headgate_agent_connected{cluster="eu"} 1');
  expect(metrics).toMatch(/headgate_guard_blocked_total\{guard="shrink"\} [1-9]/);
});
