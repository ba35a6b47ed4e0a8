import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { askMaster } from '../../agent/haproxy/process/master.ts';
import { STATE_FILE } from '../../agent/haproxy/process/state-file.ts';
import { testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { serverName, sockets } from '../../agent/haproxy/model/names.ts';
import { keepAliveLoad, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { hungPod } from '../data-plane/hung-pod.ts';
import { ask } from '../bench/haproxy-socket.ts';
import { presented } from '../bench/fleet/poller.ts';
import { type Cluster, clusters, hosts, type Site } from './site.ts';

/** How much of each kind of change. */
export interface Sizes {
  /** Milliseconds in which nothing changes: what all else is compared with. */
  readonly idle: number;
  readonly routes: number;
  readonly births: number;
  readonly certificates: number;
  readonly rollouts: number;
  readonly reloads: number;
  readonly kills: number;
  readonly upgrades: number;
}

export interface Phase {
  readonly name: string;
  /** Reasons that an agent may reload HAProxy for meanwhile. */
  readonly mayReload: readonly string[];
  /** Whether somebody else reloads it. */
  readonly forced: boolean;
  readonly run: (site: Site) => Promise<void>;
}

/** Milliseconds between route changes, so that they do not all become one. */
const PACE = 15;
/** Hosts that route changes go round. */
const ROUTES = 40;
/** More of a cluster's routes than this are not removed at once without being asked for. */
const REMOVED_TOGETHER = 10;
const BORN_TOGETHER = 32;
/** A pod that has had no request for so long is not asked any more, at any rate a load of the tests makes. */
const UNASKED = 500;

export function phases(sizes: Sizes): readonly Phase[] {
  const phase = (name: string, run: Phase['run'], ...mayReload: string[]): Phase => ({
    name,
    run,
    mayReload,
    forced: false,
  });
  return [
    phase('nothing', async () => await sleep(sizes.idle)),
    phase(`${sizes.routes} changes of routes and weights`, (site) => changeRoutes(site, sizes.routes)),
    phase(`${sizes.certificates} changes of certificates`, (site) => changeCertificates(site, sizes.certificates)),
    phase(`${sizes.rollouts} rollouts`, (site) => rollOut(site, sizes.rollouts)),
    {
      ...phase(`${sizes.reloads} forced reloads`, (site) => forceReloads(site, sizes.reloads), 'repair'),
      forced: true,
    },
    {
      ...phase(`${sizes.kills} agents killed and started`, (site) => restart(site, sizes.kills, 'SIGKILL')),
      forced: true,
    },
    phase(`${sizes.upgrades} agents upgraded`, (site) => restart(site, sizes.upgrades, 'SIGTERM'), 'configuration'),
    // Last, since a pool may be filled up later, when it is quiet.
    phase(
      `${sizes.births} services born and removed`,
      (site) => besideSick(site, () => bearAndRemove(site, sizes.births)),
      'pool-refill',
    ),
  ];
}

/** One path more each time: many that go at once are held by a guard. Every tenth is a change of weights. */
async function changeRoutes(site: Site, count: number): Promise<void> {
  const paths = new Map<number, readonly string[]>();
  for (let i = 0; i < count; i++) {
    if (i % 10 === 9) await site.weigh({ eu: i % 100, us: 100 - (i % 100) });
    else {
      const j = i % ROUTES;
      paths.set(j, [...(paths.get(j) ?? []), `/v${i}`]);
      site.writeRoute(j % 2 === 1 ? 'us' : 'eu', `route-${j}`, `route-${j}.hitless.example`, paths.get(j));
    }
    await sleep(PACE);
  }
  await site.weigh({ eu: 50, us: 50 });
  for (const [j, all] of paths) await site.live(`route-${j}.hitless.example`, all.at(-1) ?? '/', 200);
}

async function changeCertificates(site: Site, count: number): Promise<void> {
  const ca = await testCa();
  const entry = site.fleet.cluster('eu').https;
  const host = hosts.near;
  for (let i = 0; i < count; i++) {
    const before = await presented(entry, host);
    // Added, renewed, removed, and so on.
    const leaf = i % 3 === 2 ? undefined : await ca.leaf(host);
    if (leaf === undefined) site.removeTls(host);
    else site.writeTls(host, leaf);
    const wanted = leaf === undefined ? undefined : new X509Certificate(leaf.certificate).fingerprint256;
    await until(
      async () => await presented(entry, host),
      (seen) => (wanted === undefined ? seen !== before && seen !== '' : seen === wanted),
      30_000,
    );
  }
}

/** One pod is replaced by another, as a Deployment does: the new one is ready before the old one is told to end. */
async function rollOut(site: Site, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const cluster = clusters[i % 2] ?? 'eu';
    const endpoints = site.endpoints[cluster];
    const old = [...endpoints.keys()][0] ?? 0;
    const young = await site.pods.start();
    endpoints.set(young, 'ready');
    site.writeEndpoints(cluster);
    await until(
      async () => await site.pods.served(young),
      (served) => served > 0,
    );
    endpoints.set(old, 'terminating');
    site.writeEndpoints(cluster);
    await unasked(site, old);
    await site.pods.retire(old);
    endpoints.delete(old);
    site.writeEndpoints(cluster);
  }
}

async function unasked(site: Site, pod: number): Promise<void> {
  let [served, since] = [-1, performance.now()];
  await until(
    async () => await site.pods.served(pod),
    (now) => {
      if (now !== served) [served, since] = [now, performance.now()];
      return performance.now() - since > UNASKED;
    },
  );
}

async function bearAndRemove(site: Site, count: number): Promise<void> {
  const [pod = 0] = site.endpoints.eu.keys();
  for (let first = 0; first < count; first += BORN_TOGETHER) {
    const born = Array.from({ length: Math.min(BORN_TOGETHER, count - first) }, (_, i) => first + i);
    for (const i of born) site.writeRoute('eu', `born-${i}`, bornHost(i), ['/'], [pod]);
    for (const i of born) await site.live(bornHost(i), '/', 200);
  }
  for (let first = 0; first < count; first += REMOVED_TOGETHER) {
    const gone = Array.from({ length: Math.min(REMOVED_TOGETHER, count - first) }, (_, i) => first + i);
    for (const i of gone) site.folder('eu').remove(`born-${i}.yaml`);
    for (const i of gone) await site.live(bornHost(i), '/', 404);
  }
}

function bornHost(i: number): string {
  return `born-${i}.hitless.example`;
}

/** Beside a service of which one pod hangs: the new workers of the reloads in between must not ask it. */
async function besideSick(site: Site, job: () => Promise<void>): Promise<void> {
  const [well = 0] = site.endpoints.eu.keys();
  await using hung = await hungPod();
  const look = async () => await serverStatistics(join(site.data('eu'), 'haproxy', sockets.worker), hung.port);
  site.writeRoute('eu', 'sick', 'sick.hitless.example', ['/'], [well, hung.port]);
  await until(look, ({ status }) => status === 'DOWN');
  const before = await site.worker('eu');
  await using load = keepAliveLoad(site.port('eu', 'http'), 'sick.hitless.example', 2);
  await job();
  await load.stop();
  if (load.failures.length > 0) throw new Error(`beside a pod that hangs: ${load.failures.slice(0, 5).join('; ')}`);
  const { status = '', lbtot } = await look();
  if (!status.startsWith('DOWN')) throw new Error(`a pod that hangs is ${status}`);
  if ((await site.worker('eu')) !== before && lbtot !== '0')
    throw new Error(`a pod that hangs was asked ${lbtot} times`);
}

/** Columns of `show stat` by their names, of the one server with this port. */
async function serverStatistics(socket: string, port: number): Promise<Record<string, string>> {
  const [head = '', ...rows] = (await ask(socket, 'show stat')).split('\n');
  const names = head.replace('# ', '').split(',');
  const row = rows.find((line) => line.split(',')[1] === serverName('127.0.0.1', port)) ?? '';
  return Object.fromEntries(row.split(',').map((value, i) => [names[i], value]));
}

/** Somebody else's reloads, which nobody has told the agent of. */
async function forceReloads(site: Site, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const cluster = clusters[i % 2] ?? 'eu';
    const before = await site.worker(cluster);
    // 3.x answers when it is done; 2.6 says nothing, and the socket may go with the old process.
    await askMaster(site.master(cluster), 'reload').catch(() => '');
    await until(
      async () => (await site.worker(cluster)) ?? before,
      (now) => now !== before,
    );
    await sleep(300);
  }
}

/**
 * An agent ends and the next one takes its HAProxy over. One that is told to end makes place for another version, of
 * which HAProxy's configuration is another.
 */
async function restart(site: Site, count: number, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  for (let i = 0; i < count; i++) {
    const cluster = clusters[i % 2] ?? 'eu';
    const name = `${signal.toLowerCase()}-${i}`;
    await site.fleet.cluster(cluster).agent.end(signal);
    await sleep(500);
    if (signal === 'SIGTERM') renderedByAnother(site, cluster);
    // Somebody reloads while there is no agent, and HAProxy's master is silent when the next one looks for it.
    const reloading = i % 4 === 2 ? askMaster(site.master(cluster), 'reload').catch(() => '') : undefined;
    await site.fleet.startAgent(cluster);
    await reloading;
    site.writeRoute(cluster, name, `${name}.hitless.example`);
    await site.live(`${name}.hitless.example`, '/', 200);
  }
}

/** Leaves what an agent that renders other fixed rules would have left. */
function renderedByAnother(site: Site, cluster: Cluster): void {
  const file = join(site.data(cluster), 'haproxy', STATE_FILE);
  const state = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  writeFileSync(file, JSON.stringify({ ...state, loaded: 'by another version' }));
}
