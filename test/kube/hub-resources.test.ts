import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ListResponse } from '../../hub/api/types.ts';
import { API_VERSION } from '../../lib/policy/schemas.ts';
import { ingress, type RunningHub, service, startHub } from '../hub/running-hub.fixture.ts';
import type { KubeObject } from './ground/kube-api.ts';
import type { KubeCluster } from './ground/kube-cluster.ts';
import { KubeGround } from './ground/kube-ground.ts';

const crds = join(import.meta.dirname, '../../deploy/chart/headgate/crds');

let ground: KubeGround;
let cluster: KubeCluster;
let data: string;
let hub: RunningHub;

const start = async () => await startHub({ data, policies: { kubeconfig: cluster.kubeconfig } });

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'hg-hub-kube-'));
  ground = await KubeGround.start({ clusters: ['hub'] });
  cluster = ground.cluster('hub');
  await cluster.kubectl(['apply', '-f', crds]);
  await cluster.kubectl(['wait', '--for=condition=Established', '--timeout=30s', '-f', crds]);
  await cluster.createNamespace('shop');
  hub = await start();
});

afterAll(async () => {
  await hub[Symbol.asyncDispose]();
  await ground[Symbol.asyncDispose]();
  await rm(data, { recursive: true });
});

const policy = { apiVersion: API_VERSION, kind: 'TrafficPolicy', metadata: { name: 'web', namespace: 'shop' } };
const member = { apiVersion: API_VERSION, kind: 'Cluster', metadata: { name: 'eu' } };
const claim = { apiVersion: API_VERSION, kind: 'HostClaim', metadata: { name: 'shop' } };
const shop = { group: '', kind: 'Namespace', name: 'shop' };

async function names(): Promise<readonly string[]> {
  const { items } = await hub.client.call<ListResponse>('GET', '/v1/get/policies');
  return items.map(({ kind, name }) => `${String(kind)} ${String(name)}`).sort();
}

async function eventually<T>(look: () => Promise<T>, expected: unknown): Promise<void> {
  const until = Date.now() + 15_000;
  for (;;) {
    const seen = await look();
    try {
      return expect(seen).toEqual(expected);
    } catch (error) {
      if (Date.now() > until) throw error;
      await sleep(50);
    }
  }
}

/** "Accepted True Accepted", … and what the fleet makes of it. */
async function statusOf(ref: KubeObject): Promise<readonly string[]> {
  const { status } = await cluster.api.get<KubeObject & { status?: Status }>(ref);
  const conditions = (status?.conditions ?? []).map((one) => `${one.type} ${one.status} ${one.reason}`);
  return [...conditions, ...(status?.fleet === undefined ? [] : [status.fleet])];
}

interface Status {
  readonly fleet?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string }[];
}

test('custom resources are policies of the hub from the first to the last', async () => {
  const reports = await hub.join('eu');
  reports.publish({ upserts: [service(1), ingress('web', ['shop.example'])], removals: [] });
  await cluster.api.create({ ...policy, spec: { targetRefs: [shop], affinity: {} } });
  await cluster.api.create({
    ...claim,
    spec: { hosts: ['*.shop.example'], namespaces: ['shop'], clusters: ['eu', 'mars'] },
  });
  await cluster.api.create({ ...member, spec: { labels: { region: 'eu' } } });
  await eventually(names, ['Cluster eu', 'HostClaim shop', 'TrafficPolicy web']);
  const inForce = ['Accepted True Accepted', 'Programmed True Programmed'];
  await eventually(async () => await statusOf(policy), [...inForce, 'in force in 1 of 1 cluster for 1 route']);
  await eventually(async () => await statusOf(member), inForce);
  await eventually(
    async () => await statusOf(claim),
    ['Accepted True Accepted', 'Programmed False PartiallyProgrammed'],
  );

  // What only the hub can know wrong is told, and what stood goes on.
  await cluster.api.patch(policy, {
    spec: { tiers: [{ clusters: Array.from({ length: 9 }, (_, at) => ({ name: `c${at}`, weight: 1 })) }] },
  });
  await eventually(async () => (await statusOf(policy)).slice(0, 1), ['Accepted False Invalid']);
  expect(await names()).toContain('TrafficPolicy web');
  await cluster.api.patch(policy, { spec: { tiers: null } });
  await eventually(async () => await statusOf(policy), [...inForce, 'in force in 1 of 1 cluster for 1 route']);
});

test('what was done at the hub stands across a restart, and what went meanwhile goes', async () => {
  await hub.client.call('POST', '/v1/apply', {
    body: {
      manifests: JSON.stringify({
        ...policy,
        metadata: { ...policy.metadata, name: 'by-hand' },
        spec: { targetRefs: [shop] },
      }),
    },
  });
  await hub.client.call('PUT', '/v1/clusters/eu/cordon', { body: { cordoned: true } });
  await hub[Symbol.asyncDispose]();
  await cluster.api.delete(policy);
  hub = await start();
  await eventually(names, ['Cluster eu', 'HostClaim shop', 'TrafficPolicy by-hand']);
  const { items } = await hub.client.call<ListResponse>('GET', '/v1/get/clusters');
  expect(items).toMatchObject([{ name: 'eu', cordoned: true }]);
  await cluster.api.delete(claim);
  await eventually(names, ['Cluster eu', 'TrafficPolicy by-hand']);
});
