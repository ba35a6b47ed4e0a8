import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keepAliveLoad } from '../../agent/haproxy/testing/plane.fixture.ts';
import { ProcessFleet } from '../../cli/demo/process-fleet.ts';
import type { Item } from '../../hub/api/types.ts';
import { Connection } from '../bench/fleet/poller.ts';
import { eventually } from '../fleet/fleet.fixture.ts';
import { answerAs, nextPodAddress } from './ground/answering.ts';
import type { KubeObject } from './ground/kube-api.ts';
import type { KubeCluster } from './ground/kube-cluster.ts';
import { KubeGround } from './ground/kube-ground.ts';
import { endpointSlice, ingress, service } from './ground/objects.ts';

const KEPT = 15;
const stack = new AsyncDisposableStack();
let eu: KubeCluster;
let fleet: ProcessFleet;
let connection: Connection;
let pod: string;

beforeAll(async () => {
  // Its controller-manager ends namespaces, as everywhere.
  eu = stack.use(await KubeGround.start({ clusters: ['eu'], controllerManager: true })).cluster('eu');
  pod = nextPodAddress();
  stack.use(await answerAs('pod', pod, 8080));
  await eu.api.apply(ingressClass('headgate', 'headgate.dev/ingress'), ingressClass('edge', 'headgate.dev/ingress'));
  await seed('kept', KEPT);
  const folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'hk-')));
  fleet = stack.use(await ProcessFleet.start(folder.path));
  const { http } = await fleet.addCluster('eu', ['--source', 'kubernetes', '--kubeconfig', eu.kubeconfig]);
  connection = stack.use(new Connection(http));
  await answers(hostOf('kept', KEPT - 1), 200);
});
afterAll(async () => await stack.disposeAsync());

function ingressClass(name: string, controller: string, isDefault = false): KubeObject {
  const annotations = { 'ingressclass.kubernetes.io/is-default-class': String(isDefault) };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    metadata: { name, annotations },
    spec: { controller },
  };
}

const hostOf = (namespace: string, number: number): string => `h${number}.${namespace}.example`;

function ingressOf(namespace: string, number: number, className?: string): KubeObject {
  const shape = { namespace, name: `h${number}`, host: hostOf(namespace, number), service: 'web' };
  return ingress({ ...shape, ...(className === undefined ? {} : { ingressClass: className }) });
}

/** A namespace with one Service and so many hosts. */
async function seed(namespace: string, hosts: number, className = 'headgate'): Promise<void> {
  await eu.createNamespace(namespace);
  const web = { namespace, name: 'web' };
  const slice = endpointSlice({ ...web, name: 'web-1', service: 'web', port: 8080, endpoints: [{ address: pod }] });
  await eu.api.apply(service(web), slice);
  await eu.api.createAll(Array.from({ length: hosts }, (_, i) => ingressOf(namespace, i, className)));
}

async function answers(host: string, status: number): Promise<void> {
  let seen = 0;
  await eventually(
    async () => (seen = (await connection.get(host, '/')).status) === status,
    () => `${host} answers ${seen}, not ${status}`,
    30_000,
  );
}

async function guards(): Promise<readonly Item[]> {
  const { items } = JSON.parse(await fleet.must(['guard', 'list', '-o', 'json'])) as { readonly items: Item[] };
  return items;
}

/** Deletes the namespace, and resolves when Kubernetes has ended it with all that was in it. */
async function endNamespace(name: string): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
  await eu.api.delete(namespace);
  await eu.api.waitFor(namespace, (it) => it === undefined);
}

test('a namespace that is deleted takes its hosts along, others do not notice, and no guard is asked', async () => {
  await seed('gone', 3);
  await answers(hostOf('gone', 2), 200);
  const { port } = new URL(`http://${fleet.cluster('eu').http}`);
  await using load = keepAliveLoad(Number(port), hostOf('kept', 0));
  await endNamespace('gone');
  for (const number of [0, 1, 2]) await answers(hostOf('gone', number), 404);
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(await guards()).toEqual([]);
});

test('an Ingress that is given to another class goes at once, and comes back with ours', async () => {
  const last = ingressOf('kept', KEPT - 1);
  for (const [className, status] of [
    ['other', 404],
    ['headgate', 200],
  ] as const) {
    await eu.api.patch(last, { spec: { ingressClassName: className } });
    await answers(hostOf('kept', KEPT - 1), status);
  }
  expect(await guards()).toEqual([]);
});

test('a class that is made anew for another controller takes its Ingresses along, and back again', async () => {
  await seed('edge', 3, 'edge');
  await answers(hostOf('edge', 2), 200);
  for (const [controller, status] of [
    ['example.com/other', 404],
    ['headgate.dev/ingress', 200],
  ] as const) {
    // The field cannot be edited.
    await eu.api.delete(ingressClass('edge', ''));
    await eu.api.create(ingressClass('edge', controller));
    for (const number of [0, 1, 2]) await answers(hostOf('edge', number), status);
  }
  expect(await guards()).toEqual([]);
});

test('an Ingress without a class is served while our class is the default, and only then', async () => {
  await seed('classless', 0);
  await eu.api.create(ingressOf('classless', 0));
  await answers(hostOf('kept', 0), 200);
  expect((await connection.get(hostOf('classless', 0), '/')).status).toBe(404);
  await eu.api.apply(ingressClass('headgate', 'headgate.dev/ingress', true));
  await answers(hostOf('classless', 0), 200);
  // Kubernetes itself gives new ones the class, and they keep it.
  await eu.api.create(ingressOf('classless', 1));
  await answers(hostOf('classless', 1), 200);
  await eu.api.apply(ingressClass('headgate', 'headgate.dev/ingress'));
  await answers(hostOf('classless', 0), 404);
  await answers(hostOf('classless', 1), 200);
});

test('a namespace with much of what the cluster has is held until somebody confirms, and serves meanwhile', async () => {
  const hosts = Array.from({ length: 3 * KEPT }, (_, i) => hostOf('large', i));
  await seed('large', hosts.length);
  for (const host of hosts) await answers(host, 200);
  // The guard judges what comes at once, as it does here after a pause.
  const { agent } = fleet.cluster('eu');
  agent.signal('SIGSTOP');
  await endNamespace('large').finally(() => agent.signal('SIGCONT'));
  let held: readonly Item[] = [];
  await eventually(
    async () => (held = await guards()).length > 0,
    () => 'no guard holds anything',
  );
  expect(held[0]).toMatchObject({ cluster: 'eu', message: expect.stringMatching(/^\d+ of \d+ routes of eu$/) });
  expect((await connection.get(hosts.at(-1) ?? '', '/')).status).toBe(200);
  await eventually(
    async () => {
      for (const { id } of await guards()) await fleet.run(['guard', 'confirm', String(id)]);
      const left = await Promise.all(hosts.map(async (host) => (await connection.get(host, '/')).status));
      return left.every((status) => status === 404);
    },
    () => 'the confirmed removal does not go',
  );
  await answers(hostOf('kept', 0), 200);
});
