import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testCa } from '../../../agent/haproxy/testing/certificates.fixture.ts';
import { kubernetesClusterUid } from '../../../agent/identity/kubernetes-cluster-uid.ts';
import { systemClock } from '../../../lib/clock.ts';
import { openKubernetesClient } from '../../../lib/kubernetes/index.ts';
import { silentLog } from '../../../lib/log.ts';
import { Service } from '../../../proto/gen/headgate/v1/reported.ts';
import type { KubeObject } from '../ground/kube-api.ts';
import type { KubeCluster } from '../ground/kube-cluster.ts';
import { KubeGround } from '../ground/kube-ground.ts';
import { endpointSlice, ingress, service } from '../ground/objects.ts';
import { ingressClass, KubeFollower, tlsSecret } from './followed.fixture.ts';

let ground: KubeGround;
let eu: KubeCluster;
beforeAll(async () => {
  ground = await KubeGround.start({ clusters: ['eu'] });
  eu = ground.cluster('eu');
  await eu.api.apply(ingressClass);
});
afterAll(async () => await ground[Symbol.asyncDispose]());

/** A namespace of its own with a Service `web`, its endpoints, and an Ingress of ours. */
async function shop(namespace: string, tls?: string): Promise<void> {
  await eu.createNamespace(namespace);
  await eu.api.apply(
    service({ namespace, name: 'web' }),
    endpointSlice({ namespace, name: 'web-1', service: 'web', port: 8080, endpoints: [{ address: '10.244.0.1' }] }),
    ingress({
      namespace,
      name: 'web',
      host: `${namespace}.example`,
      service: 'web',
      ingressClass: 'headgate',
      ...(tls === undefined ? {} : { tlsSecret: tls }),
    }),
  );
}

test('the first change holds everything that is there, and problems have no place', async () => {
  await shop('first');
  await eu.api.apply(
    ingress({ namespace: 'first', name: 'other', host: 'other.example', service: 'web', ingressClass: 'nginx' }),
    ingress({ namespace: 'first', name: 'lost', host: 'lost.example', service: 'none', ingressClass: 'headgate' }),
  );
  await using kube = await KubeFollower.start(eu.kubeconfig);
  const { follower } = kube;
  await follower.next();
  expect(follower.names('ingress')).toEqual(['first/lost', 'first/web']);
  expect(follower.hosts('first/web')).toEqual(['first.example']);
  expect(kube.addresses('first/web-1')).toEqual(['10.244.0.1']);
  expect(follower.names('service')).toEqual(['first/web']);
  expect(follower.problems()).toEqual([
    'HG1003  spec.rules[0].http.paths[0].backend.service.name: Service first/none is not there',
  ]);
});

function editedSlice(...addresses: readonly string[]): KubeObject {
  const endpoints = addresses.map((address) => ({ address }));
  return endpointSlice({ namespace: 'edited', name: 'web-1', service: 'web', port: 8080, endpoints });
}

test('changes follow: an Ingress edited 50 times in a second ends as last written, endpoints come and go', async () => {
  await shop('edited');
  await using kube = await KubeFollower.start(eu.kubeconfig);
  const { follower } = kube;
  await follower.next();
  const edit = async (index: number): Promise<void> => {
    const edited = { namespace: 'edited', name: 'web', host: `e${index}.example`, service: 'web' };
    await eu.api.apply(ingress({ ...edited, ingressClass: 'headgate' }));
  };
  const edits = (async (): Promise<void> => {
    for (let index = 1; index <= 50; index++) await edit(index);
  })();
  await follower.until(() => follower.hosts('edited/web')[0] === 'e50.example');
  await edits;
  await eu.api.apply(editedSlice('10.244.0.1', '10.244.0.2'));
  await follower.until(() => kube.addresses('edited/web-1').length === 2);
  await eu.api.delete(editedSlice());
  await follower.until(() => kube.addresses('edited/web-1').length === 0);
  expect(follower.removed('ingress')).toEqual([]);
});

test('only Secrets that are named are read; one that goes takes its certificate with it, and comes back', async () => {
  await shop('tls', 'web-tls');
  const ca = await testCa();
  const leaf = await ca.leaf('tls.example');
  const secret = tlsSecret('tls', 'web-tls', leaf);
  await eu.api.apply(secret, tlsSecret('tls', 'unnamed', leaf));
  await using kube = await KubeFollower.start(eu.kubeconfig);
  const { follower } = kube;
  await follower.next();
  expect(follower.names('own-certificate')).toEqual(['tls/web-tls']);
  expect(follower.problems().filter((problem) => problem.includes('tls/'))).toEqual([]);

  await eu.api.delete(secret);
  await follower.until(() => follower.names('own-certificate').length === 0);
  expect(follower.problems()).toContainEqual('HG1003  spec.tls[0].secretName: Secret tls/web-tls is not there');
  await eu.api.apply(secret);
  await follower.until(() => follower.names('own-certificate').length === 1);
  expect(follower.problems().filter((problem) => problem.includes('tls/'))).toEqual([]);

  // Named later by another Ingress: looked for then, and never called missing meanwhile.
  const before = follower.changes.length;
  const late = { namespace: 'tls', name: 'late', host: 'tls.example', path: '/late', service: 'web' };
  await eu.api.apply(ingress({ ...late, ingressClass: 'headgate', tlsSecret: 'unnamed' }));
  await follower.until(() => follower.names('certificate').includes('tls/unnamed'));
  const told = follower.changes.slice(before).flatMap(({ report }) => report.upserts);
  expect(told.filter(({ type, name }) => type === 'problem' && name.startsWith('HG1003'))).toEqual([]);
});

test('a killed and restarted API server is listed anew, and nothing is told to have gone', async () => {
  await shop('restart');
  await using kube = await KubeFollower.start(eu.kubeconfig);
  const { follower } = kube;
  await follower.next();
  await eu.kill();
  const [silent] = await Promise.all([follower.isSilent(500), eu.resurrect()]);
  expect(silent).toBe(true);
  await eu.api.apply(
    ingress({ namespace: 'restart', name: 'after', host: 'after.example', service: 'web', ingressClass: 'headgate' }),
  );
  await eu.api.delete({ apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'restart', name: 'web' } });
  await follower.until(
    () => follower.names('ingress').includes('restart/after') && !follower.names('service').includes('restart/web'),
  );
  expect(follower.removed('ingress')).toEqual([]);
  expect(follower.removed('service')).toEqual(['restart/web']);
});

test('ExternalName is refused, and a Service without a selector serves by a slice made by hand', async () => {
  await shop('odd');
  await eu.api.apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'odd', name: 'away' },
    spec: { type: 'ExternalName', externalName: 'away.example', ports: [{ name: 'http', port: 80 }] },
  });
  await eu.api.apply(
    ingress({ namespace: 'odd', name: 'away', host: 'away.example', service: 'away', ingressClass: 'headgate' }),
  );
  await using kube = await KubeFollower.start(eu.kubeconfig);
  const { follower } = kube;
  await follower.next();
  expect(follower.problems().filter((line) => line.includes('ExternalName'))).toHaveLength(1);
  const body = follower.inventory.get('service', 'odd/web')?.body ?? Buffer.of();
  expect(Service.decode(body).ports).toMatchObject([{ name: 'http', number: 80, ready: 1 }]);
});

test('a kind of ours that is installed later comes alive', async () => {
  await shop('policies');
  await using kube = await KubeFollower.start(eu.kubeconfig);
  const { follower } = kube;
  await follower.next();
  expect(follower.names('policy')).toEqual([]);
  const definitions = fileURLToPath(
    new URL('../../../deploy/chart/headgate/crds/trafficpolicies.yaml', import.meta.url),
  );
  await eu.kubectl(['apply', '-f', definitions]);
  const definition = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' };
  const name = { metadata: { name: 'trafficpolicies.headgate.dev' } };
  await eu.api.waitFor({ ...definition, ...name }, (it) =>
    JSON.stringify(it?.['status'] ?? '').includes('Established'),
  );
  const policy = {
    apiVersion: 'headgate.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { namespace: 'policies', name: 'p' },
    spec: { exposure: 'Everywhere' },
  };
  await eu.kubectl(['apply', '-f', '-'], JSON.stringify(policy));
  await follower.until(() => follower.names('policy').length === 1);
  await eu.kubectl(['delete', 'trafficpolicy', '-n', 'policies', 'p']);
  await follower.until(() => follower.names('policy').length === 0);
});

test("a cluster's UID is that of kube-system, and data of another cluster is refused", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'headgate-uid-'));
  await using client = await openKubernetesClient({ kubeconfig: eu.kubeconfig, clock: systemClock });
  const { signal } = new AbortController();
  const options = { folder: folder.path, client, clock: systemClock, log: silentLog, signal };
  const uid = await kubernetesClusterUid(options);
  const { metadata } = await eu.api.get({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-system' } });
  expect(uid).toBe(metadata['uid']);
  expect(await kubernetesClusterUid(options)).toBe(uid);
  await writeFile(join(folder.path, 'identity', 'cluster-uid'), 'another\n');
  await expect(kubernetesClusterUid(options)).rejects.toMatchObject({ code: 'HG2003' });
});

const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1' };

function rule(apiGroup: string, ...resources: readonly string[]): object {
  return { apiGroups: [apiGroup], resources, verbs: ['list', 'watch'] };
}

/** Gives the user `agent` these rights: in one namespace, or everywhere. */
async function grant(name: string, namespace: string | undefined, ...rules: readonly object[]): Promise<void> {
  const kind = namespace === undefined ? 'ClusterRole' : 'Role';
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }) };
  const subjects = [{ kind: 'User', name: 'agent', apiGroup: 'rbac.authorization.k8s.io' }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind, name };
  await eu.api.apply(
    { ...rbac, kind, metadata, rules },
    { ...rbac, kind: `${kind}Binding`, metadata, subjects, roleRef },
  );
}

test('namespaces can be limited, by the rights of a Role too; a Secret that may not be read is a problem of its Ingress', async () => {
  await shop('mine', 'mine-tls');
  await shop('theirs');
  await grant('classes', undefined, rule('networking.k8s.io', 'ingressclasses'));
  await grant(
    'agent',
    'mine',
    rule('networking.k8s.io', 'ingresses'),
    rule('', 'services'),
    rule('discovery.k8s.io', 'endpointslices'),
    rule('headgate.dev', 'trafficpolicies'),
  );
  const leaf = await (await testCa()).leaf('mine.example');
  await eu.api.apply(tlsSecret('mine', 'mine-tls', leaf));
  const kubeconfig = await eu.kubeconfigFor({ name: 'agent', groups: [] });
  await using kube = await KubeFollower.start(kubeconfig, { namespaces: ['mine'] });
  const { follower } = kube;
  await follower.next();
  expect(follower.names('ingress')).toEqual(['mine/web']);
  expect(follower.problems()).toEqual([
    'HG2006  spec.tls[0].secretName: Secret mine/mine-tls may not be read by the agent',
  ]);

  // The rule that the problem's remedy names.
  await grant('tls', 'mine', { ...rule('', 'secrets'), resourceNames: ['mine-tls'] });
  await follower.until(() => follower.names('own-certificate').length === 1);
  expect(follower.problems()).toEqual([]);
});
