import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, haproxyBinary, type TestBackend, testBackend } from '../../../agent/haproxy/testing/rig.fixture.ts';
import { until } from '../../../agent/haproxy/testing/plane.fixture.ts';
import { type Folder, ingressClass } from '../../../cli/demo/manifests.ts';
import { haproxyPids, ProcessFleet } from '../../../cli/demo/process-fleet.ts';
import { HEADGATE, headgate, Program } from '../../../cli/demo/processes.ts';
import { buildProgram } from '../../build/built-program.ts';
import type { Bench, BenchOptions, BenchReport } from '../bench.ts';
import { application, baseHost } from '../fleet/bench-fleet.ts';
import { Connection } from '../fleet/poller.ts';
import { type Resident, resident } from '../machine.ts';

const ANY = '127.0.0.1:0';
/** Milliseconds after which what was needed only to start has been freed, if it ever is. */
const SETTLED = 5_000;

type Row = readonly [process: string, form: string, rss: number, pss: number, anonymous: number, files: number];

function row(process: string, form: string, { rss, pss, anonymous }: Resident): Row {
  return [process, form, Math.round(rss), Math.round(pss), Math.round(anonymous), Math.round(rss - anonymous)];
}

async function run({ smoke, note }: BenchOptions): Promise<BenchReport> {
  const routes = smoke ? 10 : 1_000;
  const data = mkdtempSync(join(tmpdir(), 'hb-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(data, { recursive: true, force: true }));
  const pod = stack.use(await testBackend('one'));
  note('build');
  const shipped = await buildProgram(join(data, 'image'));
  const fleet = stack.use(await ProcessFleet.start(data));

  note('cluster and node agent in one');
  fill(fleet.folder('eu'), routes, pod);
  const both = await fleet.addCluster('eu', [], shipped);
  await serves(both.http, routes);
  await sleep(SETTLED);
  const rows = [row('agent for cluster and node', 'as shipped', await resident(both.agent.pid))];
  const [, worker = 0] = haproxyPids(both.data);
  const haproxy = row("HAProxy's worker", '', await resident(worker));

  note('cluster and node agent apart');
  fill(fleet.folder('us'), routes, pod);
  const [ofNode, ofCluster] = await apart(fleet, 'us', routes, shipped);
  rows.push(row('node agent apart', 'as shipped', ofNode), row('cluster agent apart', 'as shipped', ofCluster));

  note('the same from a checkout');
  fill(fleet.folder('ap'), routes, pod);
  const [nodeOfCheckout, clusterOfCheckout] = await apart(fleet, 'ap', routes, HEADGATE);
  rows.push(row('node agent apart', 'checkout', nodeOfCheckout));
  rows.push(row('cluster agent apart', 'checkout', clusterOfCheckout), haproxy);
  const mib = 'MiB';
  return {
    tables: [
      {
        title: `Memory at ${routes} routes with a service and an endpoint each, MiB`,
        columns: ['process', 'program', 'RSS', 'PSS', 'anonymous', 'of files'],
        rows,
      },
    ],
    figures: smoke
      ? []
      : [
          { what: 'node agent as shipped, 1,000 routes', limit: 120, seen: Math.round(ofNode.rss), unit: mib },
          { what: 'cluster agent as shipped, 1,000 routes', limit: 180, seen: Math.round(ofCluster.rss), unit: mib },
        ],
    faults: [],
  };
}

function fill(folder: Folder, routes: number, pod: TestBackend): void {
  folder.write('class.yaml', ingressClass);
  for (let i = 0; i < routes; i++)
    folder.write(`r${i}.yaml`, application('base', `r${i}`, baseHost(i), new Map([['p', pod.port]])));
}

/** Cluster and node agent of a cluster as two processes. @returns what node and cluster agent hold */
async function apart(
  fleet: ProcessFleet,
  name: string,
  routes: number,
  command: string,
): Promise<readonly [node: Resident, cluster: Resident]> {
  await using stack = new AsyncDisposableStack();
  const own = (role: string): string => join(fleet.data, `${name}-${role}`);
  const start = async (role: 'cluster' | 'node', flags: readonly string[]): Promise<Program> => {
    const file = `${own(role)}.join`;
    const token = await fleet.must(['cluster', 'add', name, '--role', role, '-o', 'token']);
    writeFileSync(file, token, { mode: 0o600 });
    mkdirSync(own(role));
    const common = ['agent', '--cluster', name, '--roles', role, '--ops', ANY, '--join', file, '--data', own(role)];
    return await Program.start([...common, ...flags], join(fleet.data, 'logs', `${name}-${role}.log`), command);
  };
  const hub = String(fleet.hub.ready['grpc']);
  const source = `directory:${fleet.folder(name).path}`;
  const cluster = await start('cluster', ['--hub', hub, '--source', source, '--listen-nodes', ANY]);
  stack.defer(async () => await cluster.end());
  const listeners: string[] = ['--haproxy', haproxyBinary];
  for (const each of ['http', 'https', 'gateway']) listeners.push(`--listen-${each}`, `127.0.0.1:${await freePort()}`);
  const node = await start('node', ['--hub', String(cluster.ready['nodes']), ...listeners]);
  stack.defer(async () => {
    await headgate(['agent', 'stop', '--data', own('node')]);
    await node.end();
  });
  await serves(String(node.ready['http']), routes);
  await sleep(SETTLED);
  return [await resident(node.pid), await resident(cluster.pid)];
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
  summary: 'memory of node agent and cluster agent, together and apart, as shipped and from a checkout',
  run,
};
