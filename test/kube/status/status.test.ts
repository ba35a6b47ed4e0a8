import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ProcessFleet } from '../../../cli/demo/process-fleet.ts';
import { until } from '../../../cli/demo/processes.ts';
import type { KubeObject } from '../ground/kube-api.ts';
import type { KubeCluster } from '../ground/kube-cluster.ts';
import { KubeGround } from '../ground/kube-ground.ts';
import { endpointSlice, ingress, node, service } from '../ground/objects.ts';
import { ingressClass } from '../source/followed.fixture.ts';
import { addressesOf, conditionsOf, eventsOf, policyRef, statusWrites } from './statuses.fixture.ts';

const crds = join(import.meta.dirname, '../../../deploy/chart/headgate/crds');

let ground: KubeGround;
let eu: KubeCluster;
let data: string;
let fleet: ProcessFleet;

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'hs-'));
  ground = await KubeGround.start({ clusters: ['eu'] });
  eu = ground.cluster('eu');
  await eu.kubectl(['apply', '-f', crds]);
  await eu.kubectl(['wait', '--for=condition=Established', '--timeout=30s', '-f', crds]);
  for (const name of ['shop', 'blog']) {
    await eu.createNamespace(name);
    await eu.api.apply(service({ namespace: name, name: 'web' }), slice(name));
  }
  await eu.api.apply(ingressClass, shop('web', 'shop.example'));
  fleet = await ProcessFleet.start(data);
  await fleet.addCluster('eu', flags('--publish-status-address', '203.0.113.7,gate.example'));
  // Hosts belong to whoever claimed them first.
  await until(async () => (await fleet.must(['get', 'hosts', '-A'])).includes('shop.example'), 15_000, 50);
});
afterAll(async () => {
  await fleet.stop();
  await ground[Symbol.asyncDispose]();
  await rm(data, { recursive: true });
});

function flags(...more: readonly string[]): string[] {
  return ['--source', 'kubernetes', '--kubeconfig', eu.kubeconfig, ...more];
}

async function restart(...more: readonly string[]): Promise<void> {
  await fleet.cluster('eu').agent.end();
  await fleet.startAgent('eu', flags(...more));
}

function slice(namespace: string): KubeObject {
  const endpoints = [{ address: '10.244.0.9' }];
  return endpointSlice({ namespace, name: 'web-1', service: 'web', port: 8080, endpoints });
}

function shop(name: string, host: string, ingressClassName = 'headgate', backend = 'web'): KubeObject {
  return ingress({ namespace: 'shop', name, host, service: backend, ingressClass: ingressClassName });
}

async function awaitAddresses(object: KubeObject, expected: readonly string[]): Promise<KubeObject | undefined> {
  return await eu.api.waitFor(object, (it) => JSON.stringify(addressesOf(it)) === JSON.stringify(expected));
}

const BY_FLAG = ['203.0.113.7', 'gate.example'];

test('addresses by flag, by the Service that is published, and those of the Nodes', async () => {
  const web = shop('web', 'shop.example');
  await awaitAddresses(web, BY_FLAG);

  await eu.api.apply(service({ namespace: 'shop', name: 'gate' }));
  await restart('--publish-service', 'shop/gate');
  const gate = await eu.api.get<KubeObject>(service({ namespace: 'shop', name: 'gate' }));
  await awaitAddresses(web, [String((gate['spec'] as Record<string, unknown>)['clusterIP'])]);
  await eu.api.patch(gate, { spec: { type: 'LoadBalancer', externalIPs: ['203.0.113.9'] } });
  await eu.api.patch(gate, { status: { loadBalancer: { ingress: [{ hostname: 'lb.example' }] } } }, 'status');
  await awaitAddresses(web, ['lb.example', '203.0.113.9']);

  await eu.api.create(node('n2', '10.0.0.2'));
  await eu.api.create(node('n1', '10.0.0.1'));
  for (const one of [node('n2', '10.0.0.2'), node('n1', '10.0.0.1')]) {
    await eu.api.patch(one, { status: one['status'] }, 'status');
  }
  await restart();
  await awaitAddresses(web, ['10.0.0.1', '10.0.0.2']);
  await eu.api.patch(node('n1', ''), { spec: { unschedulable: true } });
  await awaitAddresses(web, ['10.0.0.2']);
  await restart('--publish-status-address', BY_FLAG.join(','));
  expect(addressesOf(await awaitAddresses(web, BY_FLAG))).toEqual(BY_FLAG);
});

test('a status of ours goes with the class, and one of another class is never touched', async () => {
  const theirs = shop('theirs', 'theirs.example', 'nginx');
  await eu.api.apply(theirs);
  await eu.api.patch(theirs, { status: { loadBalancer: { ingress: [{ ip: '198.51.100.1' }] } } }, 'status');
  const before = await eu.api.get<KubeObject>(theirs);
  const moving = shop('moving', 'moving.example');
  await eu.api.apply(moving);
  await awaitAddresses(moving, BY_FLAG);
  await eu.api.apply(shop('moving', 'moving.example', 'nginx'));
  await awaitAddresses(moving, []);

  // While the agent is away, too.
  await eu.api.apply(moving);
  await awaitAddresses(moving, BY_FLAG);
  await fleet.cluster('eu').agent.end();
  await eu.api.apply(shop('moving', 'moving.example', 'nginx'));
  await fleet.startAgent('eu', flags('--publish-status-address', BY_FLAG.join(',')));
  await awaitAddresses(moving, []);

  // What another controller left is replaced once the class is ours.
  await eu.api.patch(moving, { status: { loadBalancer: { ingress: [{ ip: '198.51.100.2' }] } } }, 'status');
  await eu.api.apply(moving);
  await awaitAddresses(moving, BY_FLAG);
  expect(await eu.api.get<KubeObject>(theirs)).toEqual(before);
});

test('two controllers of one class do not write over each other in a loop', async () => {
  const web = shop('fought', 'fought.example');
  await eu.api.apply(web);
  await awaitAddresses(web, BY_FLAG);
  const rival = { status: { loadBalancer: { ingress: [{ ip: '198.51.100.3' }] } } };
  const before = await statusWrites(eu);
  await eu.api.patch(web, rival, 'status');
  await sleep(3_000);
  // The rival's one write and none of ours: the first repetition waits for 10 s.
  expect((await statusWrites(eu)) - before).toBe(0);
  expect((await eventsOf(eu, web)).map(({ reason }) => reason)).toContain('StatusContested');
  await awaitAddresses(web, BY_FLAG);
});

test('a policy has conditions that follow its edits, and what the fleet makes of it', async () => {
  const policy = policyRef('shop', 'web', {
    targetRefs: [{ group: '', kind: 'Namespace', name: 'shop' }],
    affinity: {},
  });
  await eu.api.apply(policy);
  const first = await eu.api.waitFor(
    policy,
    (it) => conditionsOf(it).join() === 'Accepted True Accepted 1,Programmed True Programmed 1',
  );
  expect(first?.['status']).toMatchObject({
    observedGeneration: 1,
    fleet: expect.stringContaining('in force in 1 of 1') as string,
  });
  const since = transitions(first);

  const tiers = [
    {
      clusters: [
        { name: 'mars', weight: 1 },
        { name: 'eu', weight: 1 },
      ],
    },
  ];
  await eu.api.patch(policy, { spec: { tiers } });
  const second = await eu.api.waitFor(
    policy,
    (it) =>
      conditionsOf(it)[1] === 'Programmed False PartiallyProgrammed 2' ||
      conditionsOf(it)[1]?.startsWith('Programmed False') === true,
  );
  expect(conditionsOf(second)).toEqual(['Accepted True Accepted 2', expect.stringMatching(/^Programmed False \w+ 2$/)]);
  // Accepted did not change.
  expect(transitions(second)[0]).toBe(since[0]);

  await eu.api.patch(policy, {
    spec: { tiers: null, targetRefs: [{ group: 'networking.k8s.io', kind: 'Ingress', name: 'none' }] },
  });
  await eu.api.waitFor(policy, (it) => conditionsOf(it)[0] === 'Accepted False TargetNotFound 3');
  await eu.api.delete(policy);
});

function transitions(object: KubeObject | undefined): readonly string[] {
  const { conditions = [] } = (object?.['status'] ?? {}) as { conditions?: readonly { lastTransitionTime: string }[] };
  return conditions.map(({ lastTransitionTime }) => lastTransitionTime);
}

test('a host of another namespace is a conflict that is told, and its end too', async () => {
  const rival = ingress({
    namespace: 'blog',
    name: 'rival',
    host: 'shop.example',
    service: 'web',
    ingressClass: 'headgate',
  });
  await eu.api.apply(rival);
  const reasons = async (): Promise<string[]> =>
    (await eventsOf(eu, rival)).map(({ type, reason }) => `${type} ${reason}`);
  await expect.poll(reasons, { timeout: 15_000 }).toEqual(['Warning Conflicted']);
  expect((await eventsOf(eu, rival))[0]).toMatchObject({
    reportingController: 'headgate.dev/agent',
    note: expect.stringContaining('HG1006') as string,
    regarding: { kind: 'Ingress', uid: (await eu.api.get<KubeObject>(rival)).metadata.uid },
  });
  await eu.api.apply(
    ingress({ namespace: 'blog', name: 'rival', host: 'blog.example', service: 'web', ingressClass: 'headgate' }),
  );
  await expect.poll(reasons, { timeout: 15_000 }).toEqual(['Normal Recovered', 'Warning Conflicted']);
  // Described where people look.
  expect(await eu.kubectl(['describe', 'ingress', '-n', 'blog', 'rival'])).toMatch(/Warning\s+Conflicted[^]*headgate/);
});

test('a Service that is not there is told once, however often the Ingress is edited', async () => {
  const lost = shop('lost', 'lost.example', 'headgate', 'none');
  await eu.api.apply(lost);
  await expect.poll(async () => (await eventsOf(eu, lost)).length, { timeout: 15_000 }).toBeGreaterThan(0);
  for (let edit = 0; edit < 5; edit++) {
    await eu.api.patch(lost, { metadata: { labels: { edit: String(edit) } } });
    await sleep(300);
  }
  const events = await eventsOf(eu, lost);
  expect(events.map(({ type, reason, note }) => `${type} ${reason} ${note}`)).toEqual([
    expect.stringMatching(/^Warning TargetNotFound HG1003: .*Service shop\/none is not there/),
  ]);
  await eu.api.apply(service({ namespace: 'shop', name: 'none' }));
  await expect
    .poll(async () => (await eventsOf(eu, lost)).map(({ reason }) => reason), { timeout: 15_000 })
    .toContain('Recovered');
});

test('a status that somebody edits in between is written all the same, and one of a deleted object is not missed', async () => {
  await eu.api.createAll(Array.from({ length: 60 }, (_, at) => shop(`many-${at}`, `many-${at}.example`)));
  await Promise.all(
    Array.from({ length: 60 }, async (_, at) => {
      const one = shop(`many-${at}`, '');
      if (at % 10 === 0) await eu.api.delete(one);
      else await eu.api.patch(one, { metadata: { annotations: { touched: 'yes' } } });
    }),
  );
  for (let at = 0; at < 60; at++) if (at % 10 !== 0) await awaitAddresses(shop(`many-${at}`, ''), BY_FLAG);
  expect(fleet.cluster('eu').agent.running).toBe(true);
});

test('statuses of a time without an API server are written once it is back', async () => {
  await eu.kill();
  await sleep(500);
  await eu.resurrect();
  const late = shop('late', 'late.example');
  await eu.api.apply(late);
  expect(addressesOf(await awaitAddresses(late, BY_FLAG))).toEqual(BY_FLAG);
});

test('nothing is written while nothing changes', async () => {
  await sleep(12_000);
  const before = await statusWrites(eu);
  await sleep(10_000);
  expect(await statusWrites(eu)).toBe(before);
});
