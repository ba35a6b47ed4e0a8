import { cp, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { KubeObject } from './ground/kube-api.ts';
import type { KubeCluster } from './ground/kube-cluster.ts';
import { KubeGround } from './ground/kube-ground.ts';

const chart = join(import.meta.dirname, '../../deploy/chart/headgate');
const NAMESPACE = 'headgate';
const stack = new AsyncDisposableStack();
let eu: KubeCluster;
/** The chart as of this checkout, and as of another version. */
let versions: { readonly here: string; readonly other: string };

beforeAll(async () => {
  eu = stack.use(await KubeGround.start({ clusters: ['eu'] })).cluster('eu');
  await eu.createNamespace(NAMESPACE);
  const folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'hg-chart-')));
  const other = join(folder.path, 'headgate');
  await cp(chart, other, { recursive: true });
  const file = join(other, 'Chart.yaml');
  const meta = parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  await writeFile(file, stringify({ ...meta, version: '9.9.9', appVersion: '9.9.9' }));
  versions = { here: chart, other };
});
afterAll(async () => await stack.disposeAsync());

async function upgrade(folder: string, set: string): Promise<void> {
  const values = join(chart, 'ci', `${set}-values.yaml`);
  await eu.helm(['upgrade', '--install', set, folder, '--namespace', NAMESPACE, '--values', values]);
}

/** What a release owns, by kind and name. */
async function owned(release: string): Promise<ReadonlyMap<string, KubeObject>> {
  const manifest = await eu.helm(['get', 'manifest', release, '--namespace', NAMESPACE]);
  const text = await eu.kubectl(['get', '-n', NAMESPACE, '-o', 'json', '-f', '-'], manifest);
  const { items } = JSON.parse(text) as { readonly items: readonly KubeObject[] };
  return new Map(items.map((one) => [`${one.kind}/${one.metadata.name}`, one]));
}

const uids = (objects: ReadonlyMap<string, KubeObject>) =>
  [...objects].map(([name, { metadata }]) => `${name} ${String(metadata.uid)}`).sort();

test.each(['hub', 'member', 'edge'])(
  'an upgrade of %s to another version and back edits what is there and makes nothing anew',
  async (set) => {
    await upgrade(versions.here, set);
    const before = await owned(set);
    await upgrade(versions.other, set);
    const between = await owned(set);
    expect(uids(between)).toEqual(uids(before));
    const images = [...between.values()].flatMap(
      ({ spec }) => JSON.stringify(spec ?? {}).match(/headgate:9\.9\.9/g) ?? [],
    );
    expect(images.length).toBeGreaterThan(0);
    await eu.helm(['rollback', set, '1', '--namespace', NAMESPACE]);
    expect(uids(await owned(set))).toEqual(uids(before));
    await eu.helm(['uninstall', set, '--namespace', NAMESPACE]);
  },
);

test('the memory of the fleet and the definitions outlive an uninstall', async () => {
  const { items } = await eu.api.list('v1', 'PersistentVolumeClaim', { namespace: NAMESPACE });
  const kept = items.filter(({ metadata }) => metadata['deletionTimestamp'] === undefined);
  expect(kept.map(({ metadata }) => metadata.name)).toEqual(['hub-headgate-hub']);
  const definitions = await eu.kubectl(['get', 'crd', '-o', 'name']);
  expect(definitions).toContain('trafficpolicies.headgate.dev');
  // And the next install takes it over.
  await upgrade(versions.here, 'hub');
  expect((await owned('hub')).get('PersistentVolumeClaim/hub-headgate-hub')?.metadata.uid).toBe(kept[0]?.metadata.uid);
});

test('the definitions that helm leaves as they are are brought up by the command of the docs', async () => {
  const docs = await readFile(join(chart, '../../../docs/kubernetes.md'), 'utf8');
  const [, words = ''] = /^kubectl (apply .*-f )deploy\/chart\/headgate\/crds$/m.exec(docs) ?? [];
  expect(words, 'docs/kubernetes.md has the command').not.toBe('');
  const crd = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' };
  const policies = { ...crd, metadata: { name: 'trafficpolicies.headgate.dev' } };
  // As helm installed it of an older version.
  await eu.api.patch(policies, { spec: { names: { shortNames: ['old'] } } });
  await eu.kubectl([...words.trim().split(' '), join(chart, 'crds')]);
  const { spec } = await eu.api.get(policies);
  expect(spec).toMatchObject({ names: { shortNames: ['tp'] } });
});
