import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { containersOf, understand, withEnvironment } from '../../deploy/containers.fixture.ts';
import type { KubeObject } from './ground/kube-api.ts';
import type { KubeCluster } from './ground/kube-cluster.ts';
import { KubeGround } from './ground/kube-ground.ts';
import { kubePrograms } from './ground/programs.ts';

const root = join(import.meta.dirname, '../..');
const chart = join(root, 'deploy/chart/headgate');
/** `<name>-values.yaml` of the chart. */
const sets = (await readdir(join(chart, 'ci'))).map((file) => basename(file, '-values.yaml')).sort();
const NAMESPACE = 'headgate';
const member = `cluster.name=eu,cluster.hubs={h:7443},cluster.hubSpki=${'x'.repeat(43)}`;
const edge = `${member},profile=edge`;

async function helm(...args: readonly string[]): Promise<string> {
  const { helm: program } = await kubePrograms();
  return (await promisify(execFile)(program, args, { maxBuffer: 16 << 20 })).stdout;
}

async function render(set: string): Promise<string> {
  const values = join(chart, 'ci', `${set}-values.yaml`);
  return await helm('template', 'headgate', chart, '--namespace', NAMESPACE, '--values', values);
}

const objectsOf = (text: string): KubeObject[] =>
  parseAllDocuments(text).flatMap((document) => (document.toJSON() as KubeObject | null) ?? []);

interface Template {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly [field: string]: unknown };
}

/** The pods that a rendered workload would make. */
function podsOf(objects: readonly KubeObject[]): KubeObject[] {
  return objects.flatMap(({ kind, metadata, spec }) => {
    const template = (spec as { readonly template?: Template } | undefined)?.template;
    if (template === undefined) return [];
    const name = `${metadata.name}-${kind.toLowerCase()}`;
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...template.metadata, namespace: '', name },
      spec: template.spec,
    };
  });
}

test.each(sets)('helm lint is content with %s', async (set) => {
  const values = join(chart, 'ci', `${set}-values.yaml`);
  expect(await helm('lint', '--strict', chart, '--values', values)).toContain('0 chart(s) failed');
});

test.each(['hub', 'member', 'edge'])('the manifests of %s are what the chart renders', async (set) => {
  const file = join(root, 'deploy/manifests', `${set}.yaml`);
  const rendered = await render(set);
  if (process.env['UPDATE_DOCS'] === '1') await writeFile(file, rendered);
  expect(await readFile(file, 'utf8'), 'run UPDATE_DOCS=1 npm run test:kube -- test/kube/chart.test.ts').toBe(rendered);
});

test.each([
  [['--set', 'cluster.nam=eu'], /'nam' not allowed/],
  [['--set', 'cluster.name=EU'], /does not match pattern/],
  [['--set', 'hub.replicas=3'], /replicas/],
  [['--set', 'profile=open'], /must be one of/],
  [[], /cluster\.name is missing: give the name from/],
  [['--set', 'cluster.name=eu,cluster.hubs={h:7443}'], /cluster\.hubSpki is missing/],
  [['--set', `cluster.name=eu,cluster.hubSpki=${'x'.repeat(43)}`], /cluster\.hubs is missing/],
  [['--set', `${member},cluster.hubSpki=x`], /hubSpki/],
  [['--set', `${member},cluster.joinTokenSecret=t`], /joinTokenSecret is for clusterAgent\.replicas=1/],
  [['--set', `${member},nodeAgent.hostNetwork=true`], /hostNetwork is for profile=edge/],
  [['--set', `${edge},nodeAgent.hostNetwork=true`], /hostPort\.\w+ is \d+: with hostNetwork/],
  [['--set', `${member},nodeAgent.terminationGracePeriodSeconds=30`], /terminationGracePeriodSeconds is too short/],
  [
    ['--set', `${member},rbac.secretNamespaces={a},cluster.defaultCertificate=b/c`],
    /name it in rbac\.secretNamespaces/,
  ],
  [['--set', `${member},commonLabels.app\\.kubernetes\\.io/name=x`], /commonLabels/],
])('values %j are refused in words', async (flags, words) => {
  await expect(helm('template', 'headgate', chart, ...flags)).rejects.toThrow(words);
});

test.each(sets)('the program understands every container of %s', async (set) => {
  const environment = { NODE_NAME: 'node-1', POD_IP: '10.244.0.7', HOST_IP: '192.0.2.7' };
  const ours = containersOf(await render(set)).filter(({ command }) => command === undefined);
  for (const { args } of ours) await understand(withEnvironment(args, environment));
  expect(ours.length).toBeGreaterThan(0);
});

test('one’s own security context and labels replace the chart’s, key by key', async () => {
  const text = await helm(
    'template',
    'headgate',
    chart,
    '--set',
    `${member},podSecurityContext.runAsUser=7,commonLabels.team=a,clusterAgent.podLabels.team=b`,
    '--set',
    'containerSecurityContext.readOnlyRootFilesystem=false',
  );
  const pod = podsOf(objectsOf(text)).find(({ metadata }) => metadata.name === 'headgate-cluster-agent-deployment');
  expect(pod?.metadata.labels).toMatchObject({ team: 'b', 'app.kubernetes.io/component': 'cluster-agent' });
  expect(pod?.['spec']).toMatchObject({
    securityContext: { runAsUser: 7, runAsNonRoot: true, fsGroup: 64_000 },
    containers: [{ securityContext: { readOnlyRootFilesystem: false, allowPrivilegeEscalation: false } }],
  });
  // A new version of the chart alone restarts nothing.
  expect(Object.keys(pod?.metadata.labels ?? {}).join()).not.toMatch(/helm\.sh|version/);
});

test('no pod gets a token of the API server that has no use for it', async () => {
  for (const set of sets) {
    const tokens = podsOf(objectsOf(await render(set))).map(
      ({ metadata, spec }) =>
        [metadata.name, (spec as Record<string, unknown>)['automountServiceAccountToken']] as const,
    );
    for (const [name, mounted] of tokens) expect({ name, mounted }).toEqual({ name, mounted: !name.includes('node') });
  }
  const hub = await helm('template', 'headgate', chart, '--set', 'hub.enabled=true,hub.policiesFromKubernetes=false');
  expect(podsOf(objectsOf(hub))[0]?.['spec']).toMatchObject({ automountServiceAccountToken: false });
});

test('a private key or token is nowhere in what is rendered', async () => {
  for (const set of sets) {
    const objects = objectsOf(await render(set));
    expect(objects.filter(({ kind }) => kind === 'Secret')).toEqual([]);
    // HAProxy's container has no token of any kind.
    const haproxy = podsOf(objects).flatMap(({ spec }) =>
      (spec as { containers: { name: string; volumeMounts: { name: string }[] }[] }).containers
        .filter(({ name }) => name === 'haproxy')
        .flatMap(({ volumeMounts }) => volumeMounts.map(({ name }) => name)),
    );
    expect(new Set(haproxy)).toEqual(new Set(set === 'hub' ? [] : ['haproxy']));
  }
});

let ground: KubeGround;
let eu: KubeCluster;
beforeAll(async () => {
  ground = await KubeGround.start({ clusters: ['eu'], controllerManager: true });
  eu = ground.cluster('eu');
  await eu.createNamespace(NAMESPACE);
  for (const name of ['shop', 'blog']) await eu.createNamespace(name);
  await eu.kubectl(['apply', '--server-side', '-f', join(chart, 'crds')]);
  await eu.api.apply(namespaceAt('strict', 'restricted'), namespaceAt('open', 'privileged'));
});
afterAll(async () => await ground[Symbol.asyncDispose]());

test.each(sets)('an API server takes every object of %s', async (set) => {
  const rendered = await render(set);
  const said = await eu.kubectl(
    ['apply', '--server-side', '--dry-run=server', '--validate=strict', '-f', '-'],
    rendered,
  );
  expect(said.trim().split('\n')).toHaveLength(objectsOf(rendered).length);
});

test.each(sets)('Pod Security lets the pods of %s in where it should', async (set) => {
  const pods = podsOf(objectsOf(await render(set)));
  const refused: string[] = [];
  for (const pod of pods) {
    await dryRun(podIn(pod, 'open'));
    await dryRun(podIn(pod, 'strict')).catch((error: Error) => refused.push(`${pod.metadata.name}: ${error.message}`));
  }
  expect(pods.length).toBeGreaterThan(0);
  // Ports of the node and a folder of the node are what "edge" is for.
  const why = refused.map((message) => [
    ...new Set(message.match(/node-agent|hostNetwork=|hostPort \(|volume type "hostPath"/g)),
  ]);
  const expected: Record<string, string[][]> = {
    edge: [['node-agent', 'hostPort (', 'volume type "hostPath"']],
    'host-network': [['node-agent', 'hostNetwork=', 'hostPort (', 'volume type "hostPath"']],
  };
  expect(why).toEqual(expected[set] ?? []);
});

async function dryRun(object: KubeObject): Promise<void> {
  await eu.kubectl(['apply', '--dry-run=server', '-f', '-'], JSON.stringify(object));
}

function namespaceAt(name: string, enforce: string): KubeObject {
  const labels = { 'pod-security.kubernetes.io/enforce': enforce };
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

/** Without what the dry run would look up: it has no ServiceAccount of that name. */
function podIn(pod: KubeObject, namespace: string): KubeObject {
  const { serviceAccountName: _, priorityClassName: __, ...spec } = pod['spec'] as Record<string, unknown>;
  return { ...pod, metadata: { ...pod.metadata, namespace }, spec };
}
