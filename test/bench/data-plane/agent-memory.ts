import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, haproxyBinary, testBackend } from '../../../agent/haproxy/testing/rig.fixture.ts';
import { until } from '../../../agent/haproxy/testing/plane.fixture.ts';
import { Folder, ingressClass } from '../../../cli/demo/manifests.ts';
import { haproxyPids, ProcessFleet } from '../../../cli/demo/process-fleet.ts';
import { headgate, Program } from '../../../cli/demo/processes.ts';
import type { Bench, BenchOptions, BenchReport } from '../bench.ts';
import { application, baseHost } from '../fleet/bench-fleet.ts';
import { Connection } from '../fleet/poller.ts';
import { residentMib } from '../machine.ts';

const ANY = '127.0.0.1:0';
/** Milliseconds after which what was needed only to start has been freed, if it ever is. */
const SETTLED = 5_000;

/** The most that a process has had, and what it has after a while. */
async function memory(pid: number): Promise<number> {
  await sleep(SETTLED);
  return Math.round(await residentMib(pid));
}

async function run({ smoke, note }: BenchOptions): Promise<BenchReport> {
  const routes = smoke ? 10 : 1_000;
  const data = mkdtempSync(join(tmpdir(), 'hb-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(data, { recursive: true, force: true }));
  const pod = stack.use(await testBackend('one'));
  const fleet = stack.use(await ProcessFleet.start(data));
  const fill = (folder: Folder): void => {
    folder.write('class.yaml', ingressClass);
    for (let i = 0; i < routes; i++)
      folder.write(`r${i}.yaml`, application('base', `r${i}`, baseHost(i), new Map([['p', pod.port]])));
  };

  note('cluster and node agent in one');
  fill(fleet.folder('eu'));
  const both = await fleet.addCluster('eu');
  await serves(both.http, routes);
  const together = await memory(both.agent.pid);
  const [, worker = 0] = haproxyPids(both.data);
  const haproxy = Math.round(await residentMib(worker));

  note('cluster and node agent apart');
  const folder = new Folder(join(data, 'clusters', 'us'));
  fill(folder);
  const start = async (role: 'cluster' | 'node', flags: readonly string[]): Promise<Program> => {
    const file = join(data, `us-${role}.join`);
    const token = await fleet.must(['cluster', 'add', 'us', '--role', role, '-o', 'token']);
    writeFileSync(file, token, { mode: 0o600 });
    const own = join(data, `us-${role}`);
    mkdirSync(own);
    const common = ['agent', '--cluster', 'us', '--roles', role, '--ops', ANY, '--join', file, '--data', own];
    return await Program.start([...common, ...flags], join(data, 'logs', `us-${role}.log`));
  };
  const cluster = await start('cluster', [
    '--hub',
    String(fleet.hub.ready['grpc']),
    '--source',
    `directory:${folder.path}`,
    '--listen-nodes',
    ANY,
  ]);
  stack.defer(async () => await cluster.end());
  const listeners: string[] = ['--haproxy', haproxyBinary];
  for (const name of ['http', 'https', 'gateway']) listeners.push(`--listen-${name}`, `127.0.0.1:${await freePort()}`);
  const node = await start('node', ['--hub', String(cluster.ready['nodes']), ...listeners]);
  stack.defer(async () => {
    await headgate(['agent', 'stop', '--data', join(data, 'us-node')]);
    await node.end();
  });
  await serves(String(node.ready['http']), routes);
  const [ofNode, ofCluster] = [await memory(node.pid), Math.round(await residentMib(cluster.pid))];
  return {
    tables: [
      {
        title: `Memory at ${routes} routes with a service and an endpoint each, RSS, MiB`,
        columns: ['agent for cluster and node', 'node agent apart', 'cluster agent apart', "HAProxy's worker"],
        rows: [[together, ofNode, ofCluster, haproxy]],
      },
    ],
    figures: smoke
      ? []
      : [
          { what: 'node agent, 1,000 routes', limit: 120, seen: ofNode, unit: 'MiB' },
          { what: 'cluster agent, 1,000 routes', limit: 180, seen: ofCluster, unit: 'MiB' },
        ],
    faults: [],
  };
}

async function serves(address: string, routes: number): Promise<void> {
  using connection = new Connection(address);
  for (let i = 0; i < routes; i++) {
    await until(
      async () => await connection.get(baseHost(i), '/'),
      ({ status }) => status === 200,
      60_000,
    );
  }
}

export const agentMemory: Bench = {
  name: 'data-plane:agents',
  summary: 'memory of node agent and cluster agent, together and apart',
  run,
};
