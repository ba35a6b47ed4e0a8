import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { headgate, type Program } from '../../cli/demo/processes.ts';
import { Connection } from '../bench/fleet/poller.ts';
import { everythingAllowed, may } from './access.ts';
import { runContainer, runHaproxy, runToEnd, workload } from './chart-processes.ts';
import type { KubeObject } from './ground/kube-api.ts';
import type { KubeCluster } from './ground/kube-cluster.ts';
import { KubeGround } from './ground/kube-ground.ts';
import { deployment, ingress, service } from './ground/objects.ts';
import { PodStandIn } from './ground/pod-stand-in.ts';
import { tlsSecret } from './source/followed.fixture.ts';

const CHART = join(import.meta.dirname, '../../deploy/chart/headgate');
const NAMESPACE = 'headgate';
const OPS = { hub: 7481, cluster: 7482, node: 7483 };
const HTTP = '127.0.0.1:8080';

const resources = new AsyncDisposableStack();
let eu: KubeCluster;
let folder: string;
let hubSpki: string;
/** What every ServiceAccount may do. */
let base: ReadonlySet<string>;
const log = (name: string): string => join(folder, `${name}.log`);
const fleet = async (...args: readonly string[]) =>
  await headgate(['--config', join(folder, 'hub/admin.yaml'), ...args]);
const userOf = (account: string): string => `system:serviceaccount:${NAMESPACE}:${account}`;

/** Installs or upgrades, as an administrator does. */
async function install(...values: readonly string[]): Promise<void> {
  const set = values.flatMap((value) => ['--set', value]);
  await eu.helm(['upgrade', '--install', 'headgate', CHART, '--namespace', NAMESPACE, '--reuse-values', ...set]);
}

/** The kubeconfig of a part: nothing but a token of its ServiceAccount. */
async function kubeconfigOf(part: string): Promise<string> {
  return await eu.kubeconfigFor({ namespace: NAMESPACE, serviceAccount: `headgate-${part}` });
}

/** A program that ends with the tests, at once: a node would drain first. */
function keep(program: Program): void {
  resources.defer(async () => await program.end('SIGKILL'));
}

beforeAll(async () => {
  // A short name: the sockets of HAProxy lie below it.
  folder = resources.use(await mkdtempDisposable(join(tmpdir(), 'hr-'))).path;
  eu = resources.use(await KubeGround.start({ clusters: ['eu'], controllerManager: true })).cluster('eu');
  resources.use(await PodStandIn.start(eu));
  for (const name of [NAMESPACE, 'shop', 'blog']) await eu.createNamespace(name);

  await install('hub.enabled=true');
  const hub = await workload(eu, 'Deployment', 'headgate-hub');
  const place = { data: join(folder, 'hub'), token: '', opsPort: OPS.hub };
  keep(await runContainer(hub, 'hub', place, { log: log('hub'), kubeconfig: await kubeconfigOf('hub') }));
  const jwks = join(folder, 'eu.jwks');
  await writeFile(jwks, await eu.kubectl(['get', '--raw', '/openid/v1/jwks']));
  const added = await fleet('cluster', 'add', 'eu', '--issuer', eu.issuer, '--jwks', jwks, '-o', 'token');
  if (added.code !== 0) throw new Error(added.stderr);
  hubSpki = added.stdout.trim();
  base = await everythingAllowed(eu.api, userOf('default'), ['', 'shop', NAMESPACE]);
  // Only one of two namespaces may have its Secrets read.
  const member = ['cluster.name=eu', 'cluster.hubs={127.0.0.1:7443}', `cluster.hubSpki=${hubSpki}`];
  await install(...member, 'rbac.secretNamespaces={shop}');
});
afterAll(async () => await resources.disposeAsync());

test('with its rendered arguments and rights alone each part does all that it is for', async () => {
  const shop = { namespace: 'shop', name: 'web' };
  const blog = { namespace: 'blog', name: 'web' };
  const ca = await testCa();
  for (const { namespace } of [shop, blog]) {
    await eu.api.apply(
      tlsSecret(namespace, 'web-tls', await ca.leaf('shop.example')),
      deployment({ namespace, name: 'web', replicas: 1 }),
      service({ namespace, name: 'web', selector: { app: 'web' }, targetPort: 8080 }),
    );
  }
  const shared = { service: 'web', ingressClass: 'headgate' };
  await eu.api.apply(
    ingress({ ...shop, ...shared, host: 'shop.example', tlsSecret: 'web-tls' }),
    policyFor('shop', { exposure: 'Everywhere' }),
    ingress({ ...blog, ...shared, host: 'blog.example', tlsSecret: 'web-tls' }),
  );

  const deployed = await workload(eu, 'Deployment', 'headgate-cluster-agent');
  const token = join(folder, 'cluster.token');
  const audience = { audience: 'headgate-hub', seconds: 600 };
  await writeFile(token, await eu.createServiceAccountToken(NAMESPACE, 'headgate-cluster-agent', audience));
  const cluster = { data: join(folder, 'c'), token, opsPort: OPS.cluster };
  const kubeconfig = await kubeconfigOf('cluster-agent');
  keep(await runContainer(deployed, 'agent', cluster, { log: log('cluster'), kubeconfig }));

  const nodes = await workload(eu, 'DaemonSet', 'headgate-node-agent');
  const node = {
    data: join(folder, 'n'),
    token: join(folder, 'node.token'),
    opsPort: OPS.node,
    environment: { NODE_NAME: 'node-1', POD_IP: '127.0.0.1', HOST_IP: '127.0.0.1' },
  };
  await writeFile(node.token, await nodeToken(nodes.spec.template));
  await runToEnd(nodes, 'render', node, log('render'));
  // A pod's containers start side by side.
  const agent = runContainer(nodes, 'agent', node, { log: log('node') });
  resources.use(runHaproxy(nodes, node, log('haproxy')));
  keep(await agent);

  using connection = new Connection(HTTP);
  await until(async () => (await connection.get('shop.example', '/')).status === 200);
  const sibling = ingress({ namespace: 'blog', name: 'late', ...shared, host: 'shop.example' });
  await eu.api.apply(sibling);
  // A conflict, and a Secret that may not be read, are told at the Ingress.
  await until(async () => (await reasons('blog', 'late')).length > 0 && (await reasons('blog', 'web')).length > 0);
  expect((await fleet('get', 'routes')).stdout).toContain('shop.example');

  await eu.api.patch(
    { apiVersion: 'v1', kind: 'Service', metadata: { namespace: NAMESPACE, name: 'headgate' } },
    { status: { loadBalancer: { ingress: [{ ip: '203.0.113.9' }] } } },
    'status',
  );
  const addresses = { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: shop };
  await eu.api.waitFor(addresses, (it) => JSON.stringify(it?.['status']).includes('203.0.113.9'));
  const policy = { apiVersion: 'headgate.dev/v1alpha1', kind: 'TrafficPolicy', metadata: { ...shop, name: 'shop' } };
  await eu.api.waitFor(policy, (it) => JSON.stringify(it?.['status'] ?? '').includes('observedGeneration'));
  const claim = { apiVersion: 'headgate.dev/v1alpha1', kind: 'HostClaim', metadata: { name: 'shop' } };
  await eu.api.apply({ ...claim, spec: { hosts: ['shop.example'], namespaces: ['shop'] } });
  await eu.api.waitFor(claim, (it) => JSON.stringify(it?.['status'] ?? '').includes('observedGeneration'));
  const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { namespace: NAMESPACE } };
  const name = 'headgate-cluster-agent';
  const held = await eu.api.get<KubeObject>({ ...lease, metadata: { ...lease.metadata, name } });
  expect(held['spec']).toMatchObject({ holderIdentity: expect.stringContaining('_') as string });

  // The one Secret that its role does not reach is all that was refused.
  const refused = await requestsWith(OPS.cluster, '403');
  expect(refused.filter((line) => !line.includes('verb="list"'))).toEqual([]);
  await eu.api.apply(ingress({ ...blog, ...shared, host: 'blog.example' }));
  await until(async () => (await reasons('blog', 'web')).includes('Recovered'));
  await until(async () => (await connection.get('blog.example', '/')).status === 200);
});

test('the cluster agent may do what its roles say, and nothing else in the API', async () => {
  const all = await everythingAllowed(eu.api, userOf('headgate-cluster-agent'), ['', 'shop', NAMESPACE]);
  const everywhere = [...all].filter((one) => !base.has(one) && one.startsWith(':'));
  expect(everywhere).toEqual(
    [
      ': create authentication.k8s.io/tokenreviews',
      ...['create', 'patch'].map((verb) => `: ${verb} events.k8s.io/events`),
      ...['ingresses', 'ingressclasses'].flatMap((name) => reads('', `networking.k8s.io/${name}`)),
      ': patch networking.k8s.io/ingresses/status',
      ...reads('', '/services'),
      ...reads('', 'discovery.k8s.io/endpointslices'),
      ...reads('', 'headgate.dev/trafficpolicies'),
      ': patch headgate.dev/trafficpolicies/status',
    ].sort(),
  );
  const beyond = (namespace: string): string[] =>
    [...all].filter((one) => {
      const what = one.slice(namespace.length);
      return one.startsWith(`${namespace}:`) && !base.has(one) && !all.has(what);
    });
  expect(beyond('shop')).toEqual(reads('shop', '/secrets'));
  expect(beyond(NAMESPACE)).toEqual([`${NAMESPACE}: create coordination.k8s.io/leases`]);
  const user = userOf('headgate-cluster-agent');
  const lease = { resource: 'coordination.k8s.io/leases', namespace: NAMESPACE };
  for (const [name, expected] of [
    ['headgate-cluster-agent', true],
    ['other', false],
  ] as const) {
    for (const verb of ['get', 'update']) expect(await may(eu.api, user, { ...lease, verb, name })).toBe(expected);
  }
  expect(await may(eu.api, user, { verb: 'get', resource: '/namespaces', name: 'kube-system' })).toBe(true);
});

test('node agents may do nothing, and the hub what its policies need', async () => {
  expect(await ownRights('node-agent')).toEqual([]);
  const kinds = ['clusters', 'hostclaims', 'trafficpolicies'].map((name) => `headgate.dev/${name}`);
  const hub = kinds.flatMap((kind) => [...reads('', kind), `: patch ${kind}/status`]);
  expect((await ownRights('hub')).filter((one) => one.startsWith(':'))).toEqual(hub.sort());
});

test.each(['cluster-agent', 'node-agent', 'hub'])('calls of %s that would do harm are refused', async (part) => {
  using api = eu.apiAs(await eu.createServiceAccountToken(NAMESPACE, `headgate-${part}`));
  const core = '/api/v1/namespaces';
  const calls: [method: string, path: string][] = [
    ['GET', `${core}/blog/secrets/web-tls`],
    ['GET', `${core}/kube-system/secrets`],
    ['GET', '/api/v1/secrets'],
    ['GET', `${core}/kube-system/configmaps`],
    ['GET', '/api/v1/pods'],
    ['POST', `${core}/shop/pods`],
    ['POST', `${core}/shop/services`],
    ['DELETE', `${core}/shop/services/web`],
    ['DELETE', `${core}/shop/secrets/web-tls`],
    ['POST', `${core}/headgate/serviceaccounts/default/token`],
    ['POST', '/apis/apps/v1/namespaces/headgate/deployments'],
    ['PATCH', '/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web'],
    ['PUT', '/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web'],
    ['DELETE', '/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web'],
    ['GET', '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'],
    ['DELETE', '/apis/coordination.k8s.io/v1/namespaces/headgate/leases/headgate-cluster-agent'],
    ['POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'],
  ];
  const seen: string[] = [];
  for (const [method, path] of calls) {
    const body = method === 'GET' ? {} : { body: {}, contentType: contentTypeOf(method) };
    const { status } = await api.request(method, path, body);
    if (status !== 403) seen.push(`${method} ${path}: ${status}`);
  }
  expect(seen).toEqual([]);
});

/** What a part may do that not every ServiceAccount may. */
async function ownRights(part: string): Promise<string[]> {
  const all = await everythingAllowed(eu.api, userOf(`headgate-${part}`), ['', NAMESPACE]);
  return [...all].filter((one) => !base.has(one));
}

function contentTypeOf(method: string): string {
  return method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
}

function reads(namespace: string, resource: string): string[] {
  return ['list', 'watch'].map((verb) => `${namespace}: ${verb} ${resource}`);
}

function policyFor(namespace: string, spec: object): KubeObject {
  const targetRefs = [{ group: '', kind: 'Namespace', name: namespace }];
  const metadata = { namespace, name: namespace };
  return { apiVersion: 'headgate.dev/v1alpha1', kind: 'TrafficPolicy', metadata, spec: { targetRefs, ...spec } };
}

/** As the kubelet projects it into a pod of the DaemonSet, of which no controller makes one here. */
async function nodeToken(template: { readonly metadata: object; readonly spec: object }): Promise<string> {
  const name = 'headgate-node-agent-1';
  const { hostNetwork: _, ...spec } = template.spec as Record<string, unknown>;
  const metadata = { ...template.metadata, namespace: NAMESPACE, name };
  // It runs as a process of this test, so the stand-in has nothing to listen on.
  const containers = [{ name: 'agent', image: 'none', ports: [{ containerPort: 9 }] }];
  const pod = { ...spec, initContainers: [], containers, nodeName: 'node-1', priorityClassName: undefined };
  await eu.api.create({ apiVersion: 'v1', kind: 'Pod', metadata, spec: pod });
  const bound = ['--bound-object-kind', 'Pod', '--bound-object-name', name];
  const args = ['-n', NAMESPACE, '--audience', 'headgate-cluster-agent', '--duration', '10m', ...bound];
  return (await eu.kubectl(['create', 'token', 'headgate-node-agent', ...args])).trim();
}

/** Of Events that regard an Ingress. */
async function reasons(namespace: string, name: string): Promise<readonly unknown[]> {
  const { items } = await eu.api.list('events.k8s.io/v1', 'Event', { namespace });
  return items.filter((it) => (it['regarding'] as { name?: string }).name === name).map((it) => it['reason']);
}

async function requestsWith(ops: number, code: string): Promise<readonly string[]> {
  const text = await (await fetch(`http://127.0.0.1:${ops}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith('headgate_kubernetes_requests_total{') && line.includes(`code="${code}"`));
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within a minute: ${holds.toString()}`);
    await sleep(50);
  }
}
