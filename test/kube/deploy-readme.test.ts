import { execFile } from 'node:child_process';
import { copyFile, mkdtempDisposable, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { HEADGATE } from '../../cli/demo/processes.ts';
import { blocksOf, root } from '../docs/pages.ts';
import { runContainer, workload } from './chart-processes.ts';
import { KubeGround } from './ground/kube-ground.ts';
import { kubePrograms } from './ground/programs.ts';

const HUB = '127.0.0.1';
const CLUSTERS = ['eu', 'us', 'ap'];

/** What takes a container engine, a kubelet or a cloud's load balancer: none of those is here. */
const LEFT_OUT = [
  'docker build',
  'docker push',
  'rollout status deployment/headgate-hub',
  'exec deploy/headgate-hub',
  'port-forward service/headgate-hub',
  'curl --resolve',
];

const resources = new AsyncDisposableStack();
let ground: KubeGround;
let folder: string;
let environment: NodeJS.ProcessEnv;

interface Kubeconfig {
  readonly clusters: readonly [{ readonly cluster: object }];
  readonly users: readonly [{ readonly user: object }];
}

beforeAll(async () => {
  folder = resources.use(await mkdtempDisposable(join(tmpdir(), 'hd-'))).path;
  ground = resources.use(await KubeGround.start({ clusters: CLUSTERS }));
  await symlink(join(root, 'deploy'), join(folder, 'deploy'));
  const each = await Promise.all(
    ground.clusters.map(async ({ name, kubeconfig }) => {
      const { clusters, users } = parse(await readFile(kubeconfig, 'utf8')) as Kubeconfig;
      const context = { name, context: { cluster: name, user: name } };
      return { cluster: { ...clusters[0], name }, user: { ...users[0], name }, context };
    }),
  );
  const [clusters, users, contexts] = [
    each.map((one) => one.cluster),
    each.map((one) => one.user),
    each.map((one) => one.context),
  ];
  const config = join(folder, 'kubeconfig');
  await writeFile(config, stringify({ apiVersion: 'v1', kind: 'Config', clusters, users, contexts }), { mode: 0o600 });
  const { kubectl } = await kubePrograms();
  environment = {
    ...process.env,
    PATH: [dirname(kubectl), dirname(HEADGATE), process.env['PATH']].join(':'),
    HOME: folder,
    KUBECONFIG: config,
    HEADGATE_CONFIG: join(folder, 'admin.yaml'),
    HUB: `${HUB}:7443`,
  };
});
afterAll(async () => await resources.disposeAsync());

/** A block as it stands, without the lines that are left out. */
async function run(text: string, seen: Set<string>): Promise<string> {
  const lines = text.split('\n').filter((line) => {
    const why = LEFT_OUT.find((words) => line.includes(words));
    if (why !== undefined) seen.add(why);
    return why === undefined;
  });
  const options = { cwd: folder, env: environment, maxBuffer: 16 << 20 };
  return (await promisify(execFile)('sh', ['-euc', lines.join('\n')], options)).stdout;
}

async function startHub(): Promise<void> {
  const data = join(folder, 'hub');
  const eu = ground.cluster('eu');
  const kubeconfig = await eu.kubeconfigFor({ namespace: 'headgate', serviceAccount: 'headgate-hub' });
  const place = { data, token: '', address: HUB, opsPort: 7481 };
  const deployed = await workload(eu, 'Deployment', 'headgate-hub');
  const hub = await runContainer(deployed, 'hub', place, { log: join(folder, 'hub.log'), kubeconfig });
  resources.defer(async () => await hub.end());
  await copyFile(join(data, 'admin.yaml'), join(folder, 'admin.yaml'));
}

async function startAgent(name: string, address: string): Promise<void> {
  const cluster = ground.cluster(name);
  const account = { namespace: 'headgate', serviceAccount: 'headgate-cluster-agent' };
  const place = { data: join(folder, name), token: join(folder, `${name}.token`), address, opsPort: 7482 };
  const audience = { audience: 'headgate-hub', seconds: 600 };
  await writeFile(
    place.token,
    await cluster.createServiceAccountToken(account.namespace, account.serviceAccount, audience),
  );
  const deployed = await workload(cluster, 'Deployment', 'headgate-cluster-agent');
  const kubeconfig = await cluster.kubeconfigFor(account);
  const agent = await runContainer(deployed, 'agent', place, { log: join(folder, `${name}.log`), kubeconfig });
  resources.defer(async () => await agent.end());
}

test('deploy/README.md leads from zero to three clusters, and out again', async () => {
  const leftOut = new Set<string>();
  let said = '';
  for (const { language, text } of blocksOf('deploy/README.md')) {
    if (language === 'yaml') await writeFile(join(folder, 'shop.yaml'), text);
    if (language !== 'sh') continue;
    if (text.includes('headgate get routes')) {
      // Each reports when it has listed everything; what is asked next is asked of the whole fleet.
      for (const [index, name] of CLUSTERS.entries()) await startAgent(name, `127.0.1.${index + 1}`);
      await eventually('headgate get clusters -o json', (out) => CLUSTERS.every((name) => out.includes(`"${name}"`)));
      await run('kubectl --context us apply -f shop.yaml', leftOut);
      await eventually('headgate get routes', (out) => out.includes('shop.example'));
    }
    said += await run(text, leftOut);
    if (text.includes('hub.enabled=true')) await startHub();
  }
  expect([...leftOut].sort()).toEqual(LEFT_OUT.toSorted());
  expect(said).toContain('shop.example');
  expect(said).toContain('cluster ap removed');
  expect(said).toContain('daemonset.apps/headgate-node-agent configured (server dry run)');
});

async function eventually(command: string, holds: (out: string) => boolean): Promise<void> {
  const end = Date.now() + 60_000;
  for (;;) {
    const out = await run(command, new Set());
    if (holds(out)) return;
    if (Date.now() > end) throw new Error(`${command} still says ${out}`);
  }
}
