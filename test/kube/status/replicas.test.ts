import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freeAddress } from '../../../cli/demo/ports.ts';
import { ProcessFleet } from '../../../cli/demo/process-fleet.ts';
import { headgate, Program } from '../../../cli/demo/processes.ts';
import { Connection } from '../../bench/fleet/poller.ts';
import { answerAs, type Answering } from '../ground/answering.ts';
import type { KubeObject } from '../ground/kube-api.ts';
import type { KubeCluster } from '../ground/kube-cluster.ts';
import { KubeGround } from '../ground/kube-ground.ts';
import { freePort } from '../ground/program.ts';
import { endpointSlice, ingress, service } from '../ground/objects.ts';
import { ingressClass } from '../source/followed.fixture.ts';
import { addressesOf, statusWrites } from './statuses.fixture.ts';

/** What is promised, from the death of one replica to the other's first act. */
const REACH_MS = 15_000;
const ANY = '127.0.0.1:0';
const LEASE: KubeObject = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { namespace: 'default', name: 'agents' },
};

let data: string;
let ground: KubeGround;
let eu: KubeCluster;
let pod: Answering;
let fleet: ProcessFleet;
let nodesPort: number;
const replicas = new Map<string, Program>();
let node: Program;

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'hr-'));
  ground = await KubeGround.start({ clusters: ['eu'] });
  eu = ground.cluster('eu');
  pod = await answerAs('pod', '10.244.0.7', 8080);
  const endpoints = [{ address: '10.244.0.7' }];
  await eu.api.apply(
    ingressClass,
    service({ namespace: 'default', name: 'web' }),
    endpointSlice({ namespace: 'default', name: 'web-1', service: 'web', port: 8080, endpoints }),
    app('web'),
  );
  fleet = await ProcessFleet.start(data);
  nodesPort = await freePort();
  await start('127.0.0.2');
  await leader();
  await start('127.0.0.3');
  const listeners: string[] = [];
  for (const name of ['http', 'https', 'gateway']) listeners.push(`--listen-${name}`, await freeAddress());
  const hubs = [...replicas.keys()].map((host) => `${host}:${nodesPort}`).join(',');
  node = await agent('n1', 'node', ['--hub', hubs, '--node', 'n1', ...listeners]);
});
afterAll(async () => {
  for (const program of replicas.values()) program.signal('SIGCONT');
  await headgate(['agent', 'stop', '--data', join(data, 'agents', 'n1')]);
  await Promise.all([...replicas.values(), node].map(async (program) => await program.end()));
  await fleet.stop();
  await pod[Symbol.asyncDispose]();
  await ground[Symbol.asyncDispose]();
  await rm(data, { recursive: true });
});

function app(name: string): KubeObject {
  return ingress({ namespace: 'default', name, host: `${name}.example`, service: 'web', ingressClass: 'headgate' });
}

async function agent(name: string, role: 'cluster' | 'node', flags: readonly string[]): Promise<Program> {
  const token = join(data, `${name}.join`);
  const line = await fleet.must(['cluster', 'add', 'eu', '--role', role, '-o', 'token']);
  await writeFile(token, line, { mode: 0o600 });
  const folder = ['--data', join(data, 'agents', name), '--join', token];
  const log = join(data, 'logs', `${name}.log`);
  return await Program.start(['agent', '--cluster', 'eu', '--roles', role, '--ops', ANY, ...folder, ...flags], log);
}

/** A replica of the cluster agent, at an address of its own as a pod has one. */
async function start(host: string): Promise<void> {
  const source = ['--source', 'kubernetes', '--kubeconfig', eu.kubeconfig, '--publish-status-address', '203.0.113.7'];
  const flags = ['--hub', String(fleet.hub.ready['grpc']), '--lease', 'default/agents', ...source];
  replicas.set(host, await agent(host, 'cluster', [...flags, '--listen-nodes', `${host}:${nodesPort}`]));
}

async function readiness(host: string): Promise<string> {
  const answer = await fetch(`http://${String(replicas.get(host)?.ready['ops'])}/readyz?verbose`);
  return `${answer.status} ${/lease ok: ([^\n]*)/.exec(await answer.text())?.[1] ?? ''}`;
}

/** Waits until one of the replicas says that it speaks for the cluster. */
async function leader(among: readonly string[] = [...replicas.keys()]): Promise<string> {
  const until = performance.now() + 2 * REACH_MS;
  for (;;) {
    for (const host of among) if ((await readiness(host)).includes('speaks for the cluster')) return host;
    if (performance.now() > until) throw new Error('no replica speaks for the cluster');
    await sleep(20);
  }
}

function other(host: string): string {
  return [...replicas.keys()].find((one) => one !== host) ?? '';
}

async function isListening(host: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(nodesPort, host, () => resolve(true)).once('error', () => resolve(false));
  const answer = await promise;
  socket.destroy();
  return answer;
}

async function live(connection: Connection, name: string): Promise<void> {
  const until = performance.now() + 2 * REACH_MS;
  while ((await connection.get(`${name}.example`, '/')).status !== 200) {
    if (performance.now() > until) throw new Error(`${name} is not live`);
    await sleep(10);
  }
}

async function term(): Promise<number> {
  const lease = await eu.api.get<KubeObject & { spec: { leaseTransitions: number } }>(LEASE);
  return lease.spec.leaseTransitions;
}

test('a standby is ready, and neither listens for nodes nor is known at the hub', async () => {
  const host = await leader();
  expect(await readiness(other(host))).toBe('200 standby');
  expect(await isListening(host)).toBe(true);
  expect(await isListening(other(host))).toBe(false);
  using connection = new Connection(String(node.ready['http']));
  await live(connection, 'web');
  const clusters = JSON.parse(await fleet.must(['get', 'clusters', '-o', 'json'])) as { items: unknown[] };
  expect(clusters.items).toMatchObject([{ name: 'eu', connected: true, nodes: 1 }]);
});

test('a leader that is killed is followed within 15 s, and nothing is lost', async () => {
  using connection = new Connection(String(node.ready['http']));
  const killed = await leader();
  const next = other(killed);
  const before = await term();
  const over = new AbortController();
  const seen = new Set<number>();
  const watching = (async (): Promise<void> => {
    using client = new Connection(String(node.ready['http']));
    while (!over.signal.aborted) {
      seen.add((await client.get('web.example', '/')).status);
      await sleep(5);
    }
  })();
  const begun = performance.now();
  await replicas.get(killed)?.end('SIGKILL');
  await eu.api.apply(app('meanwhile'));
  await leader([next]);
  const led = performance.now() - begun;
  await live(connection, 'meanwhile');
  const wasLive = performance.now() - begun;
  await eu.api.waitFor(app('meanwhile'), (it) => addressesOf(it)[0] === '203.0.113.7');
  over.abort();
  await watching;
  expect(seen).toEqual(new Set([200]));
  expect(led).toBeLessThan(REACH_MS);
  expect(await term()).toBe(before + 1);
  expect(JSON.parse(await fleet.must(['guard', 'list', '-o', 'json']))).toMatchObject({ items: [] });
  const hosts = await fleet.must(['get', 'hosts', '-A', '-o', 'name']);
  expect(hosts).toContain('web.example');
  process.stdout.write(
    `leader killed: led after ${Math.round(led)} ms, a new Ingress live after ${Math.round(wasLive)} ms\n`,
  );
  await start(killed);
  expect(await readiness(killed)).toBe('200 standby');
});

test('a leader that was stopped for 30 s changes nothing when it wakes', async () => {
  using connection = new Connection(String(node.ready['http']));
  const stopped = await leader();
  const next = other(stopped);
  const program = replicas.get(stopped);
  const begun = performance.now();
  program?.signal('SIGSTOP');
  await leader([next]);
  expect(performance.now() - begun).toBeLessThan(REACH_MS);
  await eu.api.apply(app('slept'));
  await live(connection, 'slept');
  await eu.api.waitFor(app('slept'), (it) => addressesOf(it)[0] === '203.0.113.7');
  await sleep(Math.max(0, 30_000 - (performance.now() - begun)));
  const [led, writes] = [await term(), await statusWrites(eu)];
  const before = await eu.api.list('networking.k8s.io/v1', 'Ingress');
  program?.signal('SIGCONT');
  await expect.poll(async () => await readiness(stopped), { timeout: 5_000 }).toBe('200 standby');
  await sleep(3_000);
  expect(await isListening(stopped)).toBe(false);
  expect([await term(), await statusWrites(eu)]).toEqual([led, writes]);
  expect((await eu.api.list('networking.k8s.io/v1', 'Ingress')).items).toEqual(before.items);
  expect(await readiness(next)).toContain('speaks for the cluster');
  expect((await connection.get('web.example', '/')).status).toBe(200);
});

test('a leader that ends in order is followed at once', async () => {
  const ended = await leader();
  await replicas.get(ended)?.end();
  const begun = performance.now();
  await leader([other(ended)]);
  expect(performance.now() - begun).toBeLessThan(5_000);
});
