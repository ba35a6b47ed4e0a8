import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KubeApiError, type KubeObject } from './kube-api.ts';
import { KubeGround } from './kube-ground.ts';
import { deployment, endpointSlice, ingress, service } from './objects.ts';
import { PodStandIn } from './pod-stand-in.ts';

interface Slice extends KubeObject {
  readonly endpoints:
    | readonly {
        readonly addresses: readonly string[];
        readonly conditions: { ready: boolean; terminating?: boolean };
      }[]
    | null;
}

function readyReplicas(deployment: KubeObject | undefined): number | undefined {
  return (deployment?.['status'] as { readonly readyReplicas?: number } | undefined)?.readyReplicas;
}

describe('three clusters without controllers', () => {
  let ground: KubeGround;
  beforeAll(async () => {
    ground = await KubeGround.start({ clusters: ['eu', 'us', 'ap'] });
  });
  afterAll(async () => await ground[Symbol.asyncDispose]());

  test('an Ingress is in the cluster where it was created, and in no other', async () => {
    const eu = ground.cluster('eu');
    await eu.createNamespace('shop');
    const shop = ingress({ namespace: 'shop', name: 'web', host: 'shop.example', service: 'web' });
    await eu.api.create(shop);
    expect(await eu.api.get(shop)).toMatchObject({ spec: { rules: [{ host: 'shop.example' }] } });
    await expect(ground.cluster('us').api.get(shop)).rejects.toMatchObject({ status: { code: 404 } });
    expect(await eu.kubectl(['get', 'ingress', '-n', 'shop', '-o', 'name'])).toBe('ingress.networking.k8s.io/web\n');
    await eu.api.delete(shop);
    await expect(eu.api.get(shop)).rejects.toBeInstanceOf(KubeApiError);
  });

  test('an EndpointSlice by hand is taken with an address of a pod, and refused with one of loopback', async () => {
    const { api } = ground.cluster('us');
    const shape = { namespace: 'default', name: 'web-1', service: 'web', port: 8080 };
    await api.apply(service({ namespace: 'default', name: 'web' }));
    await api.apply(endpointSlice({ ...shape, endpoints: [{ address: '10.244.0.9' }] }));
    const loopback = endpointSlice({ ...shape, endpoints: [{ address: '127.0.0.1' }] });
    await expect(api.apply(loopback)).rejects.toMatchObject({ status: { code: 422 } });
  });

  test('a version from before a restart is too old for a watch', async () => {
    const ap = ground.cluster('ap');
    const { metadata } = await ap.api.list('v1', 'ConfigMap');
    const maps = Array.from({ length: 3 }, (_, index) => ({ metadata: { namespace: 'default', name: `m${index}` } }));
    await ap.api.createAll(maps.map((map) => ({ apiVersion: 'v1', kind: 'ConfigMap', ...map })));
    await ap.restart();
    const { resourceVersion } = metadata;
    for await (const { type, object } of ap.api.watch('v1', 'ConfigMap', { resourceVersion })) {
      expect(type).toBe('ERROR');
      expect(object).toMatchObject({ kind: 'Status', code: 410, reason: 'Expired' });
      break;
    }
  });

  test('a list can be streamed, and a bookmark ends it', async () => {
    const { api } = ground.cluster('us');
    const names = [];
    for await (const { type, object } of api.watch('v1', 'Namespace', { sendInitialEvents: true })) {
      if (type === 'BOOKMARK') break;
      expect(type).toBe('ADDED');
      names.push(object.metadata.name);
    }
    expect(names).toContain('default');
  });

  test('a paused API server answers nothing until it goes on', async () => {
    const { api } = ground.cluster('ap');
    ground.cluster('ap').pause();
    const signal = AbortSignal.timeout(300);
    await expect(api.request('GET', '/api/v1/namespaces', { signal })).rejects.toThrow('aborted');
    ground.cluster('ap').resume();
    expect((await api.request('GET', '/api/v1/namespaces')).status).toBe(200);
  });

  test("a ServiceAccount's token names issuer and audience, and its key is in the JWKS", async () => {
    const eu = ground.cluster('eu');
    await eu.api.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: 'default', name: 'agent' } });
    const token = await eu.createServiceAccountToken('default', 'agent', { audience: 'hub', seconds: 900 });
    const [header, claims] = token
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>);
    expect(claims).toMatchObject({ iss: eu.issuer, aud: ['hub'], sub: 'system:serviceaccount:default:agent' });
    const { keys } = await eu.jwks();
    expect(keys.map((key) => key['kid'])).toContain(header?.['kid']);
  });

  test('whoever is not the administrator may do nothing', async () => {
    const eu = ground.cluster('eu');
    const kubeconfig = await eu.kubeconfigFor({ name: 'jane', groups: ['developers'] });
    const asked = eu.kubectl(['--kubeconfig', kubeconfig, 'get', 'pods']);
    await expect(asked).rejects.toThrow('User "jane" cannot list resource "pods"');
    using nobody = eu.apiAs(undefined);
    await expect(nobody.list('v1', 'Pod')).rejects.toMatchObject({ status: { code: 403 } });
  });
});

describe('a cluster with a controller-manager and pods', () => {
  let ground: KubeGround;
  let pods: PodStandIn;
  beforeAll(async () => {
    ground = await KubeGround.start({ clusters: ['eu'], controllerManager: true });
    pods = await PodStandIn.start(ground.cluster('eu'), { nodes: ['n1', 'n2'], linger: 1_000 });
  });
  afterAll(async () => {
    await pods[Symbol.asyncDispose]();
    await ground[Symbol.asyncDispose]();
  });

  test('a Deployment becomes ready, its EndpointSlice is filled, and a pod answers from its address', async () => {
    const eu = ground.cluster('eu');
    await eu.createNamespace('shop');
    const web = deployment({ namespace: 'shop', name: 'web', replicas: 2 });
    await eu.api.apply(web, service({ namespace: 'shop', name: 'web', targetPort: 'http', selector: { app: 'web' } }));
    await eu.api.waitFor(web, (it) => readyReplicas(it) === 2);

    const labelSelector = 'kubernetes.io/service-name=web';
    const options = { namespace: 'shop', labelSelector };
    const slice = (await eu.api.list<Slice>('discovery.k8s.io/v1', 'EndpointSlice', options)).items[0];
    if (slice === undefined) throw new Error('the Service has no EndpointSlice');
    const ready = (it: Slice | undefined): readonly string[] =>
      (it?.endpoints ?? []).filter(({ conditions }) => conditions.ready).flatMap(({ addresses }) => addresses);
    const full = await eu.api.waitFor<Slice>(slice, (it) => ready(it).length === 2);
    const [address] = ready(full);
    const answer = await fetch(`http://${address}:8080/`);
    expect(await answer.text()).toMatch(/^web-[a-z0-9]+-[a-z0-9]+\n$/);

    const { items } = await eu.api.list('v1', 'Pod', { namespace: 'shop' });
    expect(new Set(items.map((pod) => (pod['spec'] as { nodeName: string }).nodeName))).toEqual(new Set(['n1', 'n2']));
    await pods.setReady({ namespace: 'shop', name: items[0]?.metadata.name ?? '' }, false);
    await eu.api.waitFor<Slice>(slice, (it) => ready(it).length === 1);

    await eu.kubectl(['scale', '-n', 'shop', 'deployment/web', '--replicas=0']);
    await eu.api.waitFor<Slice>(slice, (it) => (it?.endpoints ?? []).every(({ conditions }) => conditions.terminating));
    expect((await fetch(`http://${address}:8080/`)).status).toBe(200);
    await eu.api.waitFor<Slice>(slice, (it) => (it?.endpoints ?? []).length === 0);
    await expect(fetch(`http://${address}:8080/`)).rejects.toThrow('fetch failed');
  });

  test('a namespace that is deleted goes with all that is in it', async () => {
    const { api } = ground.cluster('eu');
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'gone' } };
    await ground.cluster('eu').createNamespace('gone');
    await api.apply(ingress({ namespace: 'gone', name: 'web', host: 'gone.example', service: 'web' }));
    await api.delete(namespace);
    expect(await api.waitFor(namespace, (it) => it === undefined)).toBeUndefined();
  });

  test('pods come and go on after a restart of the API server', async () => {
    const eu = ground.cluster('eu');
    await eu.restart();
    const late = deployment({ namespace: 'default', name: 'late', replicas: 1 });
    await eu.api.apply(late);
    const ready = await eu.api.waitFor(late, (it) => readyReplicas(it) === 1);
    expect(ready?.metadata.name).toBe('late');
  });

  test('Helm installs into it', async () => {
    expect(await ground.cluster('eu').helm(['list', '--output', 'json'])).toBe('[]\n');
  });
});
