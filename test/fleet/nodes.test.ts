import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { haproxyPids } from '../../cli/demo/process-fleet.ts';
import { freeAddress } from '../../cli/demo/ports.ts';
import { headgate, Program } from '../../cli/demo/processes.ts';
import { eventually, TestFleet, trafficPolicy } from './fleet.fixture.ts';

const ANY = '127.0.0.1:0';
const LISTENERS = ['http', 'https', 'gateway'] as const;
const HOST = 'apart.example';
const APP = { namespace: 'apart', host: HOST };

/** One agent process of the cluster `us`, whose roles run apart. */
interface Part {
  readonly data: string;
  program: Program;
}

let fleet: TestFleet;
const parts = new Map<string, Part>();

beforeAll(async () => {
  fleet = await TestFleet.start(['eu'], 2, ['us']);
  const folder = fleet.fleet.folder('us').path;
  const hub = String(fleet.fleet.hub.ready['grpc']);
  const flags = ['--hub', hub, '--roles', 'cluster', '--source', `directory:${folder}`, '--listen-nodes', ANY];
  await start('us', 'cluster', flags);
  await Promise.all(['n1', 'n2'].map(async (node) => await start(node, 'node', await firstFlags(node))));
});
afterAll(async () => {
  for (const { data, program } of parts.values()) {
    program.signal('SIGCONT');
    await headgate(['agent', 'stop', '--data', data]);
    await program.end();
  }
  await fleet?.[Symbol.asyncDispose]();
});

function part(name: string): Part {
  const found = parts.get(name);
  if (found === undefined) throw new Error(`no part ${name}`);
  return found;
}

/** Of a node's first start; later ones keep its ports. */
async function firstFlags(node: string): Promise<string[]> {
  const listeners: string[] = [];
  for (const name of LISTENERS) listeners.push(`--listen-${name}`, await freeAddress());
  return [...nodeFlags(node), ...listeners];
}

function nodeFlags(node: string): string[] {
  return ['--hub', String(part('us').program.ready['nodes']), '--roles', 'node', '--node', node];
}

async function start(name: string, role: 'cluster' | 'node', flags: readonly string[]): Promise<void> {
  const { data: root } = fleet.fleet;
  const data = join(root, 'agents', name);
  const token = join(root, `${name}.join`);
  const add = ['cluster', 'add', 'us', '--role', role, '--label', 'region=west', '-o', 'token'];
  writeFileSync(token, await fleet.fleet.must(add), { mode: 0o600 });
  const common = ['agent', '--cluster', 'us', '--data', data, '--ops', ANY, '--join', token];
  parts.set(name, { data, program: await Program.start([...common, ...flags], join(root, 'logs', `${name}.log`)) });
}

async function podAt(node: string): Promise<string> {
  const entry = String(part(node).program.ready['http']);
  const { pod, status, text } = await fleet.client.ask({ entry, host: HOST });
  return pod?.pod ?? `${status} ${text.trim()}`;
}

async function expectPod(node: string, pod: string): Promise<void> {
  let last = '';
  await eventually(
    async () => (last = await podAt(node)) === pod,
    () => `${node}: ${last} answered, wanted ${pod}`,
  );
}

test('both nodes serve, and the hub shows both', async () => {
  fleet.writeAll(APP, { eu: 1, us: 1 });
  await expectPod('n1', 'us-1');
  await expectPod('n2', 'us-1');
  await eventually(
    async () =>
      (await fleet.list('nodes')).filter(({ cluster, ready }) => cluster === 'us' && ready === true).length === 2,
    () => 'the hub does not show two ready nodes of us',
  );
  const names = (await fleet.list('nodes')).filter(({ cluster }) => cluster === 'us').map(({ name }) => name);
  expect(names).toEqual(['n1', 'n2']);
});

test('both change their endpoints, and another cluster crosses to both', async () => {
  fleet.write('us', { ...APP, firstPod: 2 });
  await expectPod('n1', 'us-2');
  await expectPod('n2', 'us-2');
  // By the label that `cluster add` gave.
  await fleet.apply(trafficPolicy('apart', 'tiers: [{ clusters: [{ selector: { region: west }, weight: 1 }] }]'));
  await fleet.expectShares('eu', HOST, { us: 1 }, 50);
  for (const node of ['n1', 'n2']) {
    const metrics = await (await fetch(`http://${String(part(node).program.ready['ops'])}/metrics`)).text();
    const counted = /^haproxy_backend_http_requests_total\{[^}]*namespace="apart"[^}]*\} (\d+)/m.exec(metrics)?.[1];
    expect(Number(counted), `${node} served requests that crossed`).toBeGreaterThan(5);
  }
});

test('a node agent that hangs stalls neither the other node nor the hub’s word', async () => {
  part('n1').program.signal('SIGSTOP');
  fleet.write('us', { ...APP, firstPod: 1 });
  await expectPod('n2', 'us-1');
  fleet.write('us', { namespace: 'apart', name: 'late', host: 'late.example' });
  const entry = String(part('n2').program.ready['http']);
  await eventually(
    async () => (await fleet.client.ask({ entry, host: 'late.example' })).status === 200,
    () => 'a new host is not live on the other node',
  );
  // Its HAProxy goes on with what it had.
  expect(await podAt('n1')).toBe('us-2');
  part('n1').program.signal('SIGCONT');
  await expectPod('n1', 'us-1');
});

test('a node that loses power while its cluster agent and the hub are down serves from its ledger', async () => {
  await fleet.fleet.hub.end('SIGKILL');
  await part('us').program.end('SIGKILL');
  const { data, program } = part('n2');
  const haproxy = haproxyPids(data);
  expect(haproxy.length).toBeGreaterThanOrEqual(2);
  await program.end('SIGKILL');
  for (const pid of haproxy) process.kill(pid, 'SIGKILL');
  const listeners = LISTENERS.flatMap((name) => [`--listen-${name}`, String(program.ready[name])]);
  const flags = ['agent', '--cluster', 'us', '--data', data, '--ops', ANY, ...nodeFlags('n2'), ...listeners];
  part('n2').program = await Program.start(flags, join(fleet.fleet.data, 'logs', 'n2.log'));
  expect(await podAt('n2')).toBe('us-1');
  expect(await podAt('n1')).toBe('us-1');
});
