import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { showProcesses } from '../../agent/haproxy/process/master.ts';
import { MASTER_SOCKET } from '../../agent/haproxy/process/stop.ts';
import { until } from '../../agent/haproxy/testing/plane.fixture.ts';
import type { TestLeaf } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { connectHub, type HubClient, pathOf } from '../../cli/client.ts';
import { type Folder, ingress, ingressClass, service } from '../../cli/demo/manifests.ts';
import { ProcessFleet } from '../../cli/demo/process-fleet.ts';
import { metricOf } from '../bench/fleet/metrics.ts';
import { Connection } from '../bench/fleet/poller.ts';
import { RollingPods } from './rolling-pods.ts';

export type Cluster = 'eu' | 'us';
export const clusters = ['eu', 'us'] as const;

/** Served by the entry and the other cluster in halves; by the entry; by the other cluster. */
export const hosts = { both: 'both.hitless.example', near: 'near.hitless.example', far: 'far.hitless.example' };

export type Condition = 'ready' | 'terminating';

const NAMESPACE = 'hitless';
const SERVICE = 'site';
const POLICY = `apiVersion: headgate.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: everywhere, namespace: ${NAMESPACE} }
spec:
  targetRefs: [{ group: "", kind: Namespace, name: ${NAMESPACE} }]
  exposure: Everywhere
`;
const PODS = 2;
/** Lines of each agent's log. */
const LAST_WORDS = 15;

/** A fleet of two clusters with three hosts, entered at `eu`; agents and HAProxies are processes of this machine. */
export class Site implements AsyncDisposable {
  readonly fleet: ProcessFleet;
  readonly pods: RollingPods;
  /** Of the service that all three hosts are served by: condition by port. */
  readonly endpoints: Readonly<Record<Cluster, Map<number, Condition>>> = { eu: new Map(), us: new Map() };
  readonly #hub: HubClient;
  readonly #entry: Connection;
  readonly #stack: AsyncDisposableStack;

  private constructor(fleet: ProcessFleet, pods: RollingPods, hub: HubClient, stack: AsyncDisposableStack) {
    this.fleet = fleet;
    this.pods = pods;
    this.#hub = hub;
    this.#entry = stack.use(new Connection(fleet.cluster('eu').http));
    this.#stack = stack;
  }

  /** Resolves when the entry serves all three hosts. */
  static async open(): Promise<Site> {
    const data = mkdtempSync(join(tmpdir(), 'hg-hl-'));
    await using stack = new AsyncDisposableStack();
    stack.defer(() => rmSync(data, { recursive: true, force: true }));
    const pods = stack.use(await RollingPods.open());
    const fleet = stack.use(await ProcessFleet.start(data));
    await fleet.must(['apply', '-f', '-'], POLICY);
    const declared = { eu: [hosts.both, hosts.near], us: [hosts.both, hosts.far] };
    for (const cluster of clusters) {
      const folder = fleet.folder(cluster);
      folder.write('class.yaml', ingressClass);
      folder.write('service.yaml', service(NAMESPACE, SERVICE));
      for (const host of declared[cluster])
        folder.write(`${host}.yaml`, ingress(NAMESPACE, labelOf(host), host, SERVICE));
      await fleet.addCluster(cluster);
    }
    const hub = await connectHub({ config: fleet.adminConfig });
    const site = new Site(fleet, pods, hub, stack.move());
    for (const cluster of clusters) {
      for (let i = 0; i < PODS; i++) site.endpoints[cluster].set(await pods.start(), 'ready');
      site.writeEndpoints(cluster);
    }
    for (const host of Object.values(hosts)) await site.live(host, '/', 200);
    await site.weigh({ eu: 50, us: 50 });
    return site;
  }

  folder(cluster: Cluster): Folder {
    return this.fleet.folder(cluster);
  }

  data(cluster: Cluster): string {
    return this.fleet.cluster(cluster).data;
  }

  master(cluster: Cluster): string {
    return join(this.data(cluster), 'haproxy', MASTER_SOCKET);
  }

  async worker(cluster: Cluster): Promise<number | undefined> {
    return (await showProcesses(this.master(cluster))).worker;
  }

  port(cluster: Cluster, listener: 'http' | 'https'): number {
    const address = this.fleet.cluster(cluster)[listener];
    return Number(address.slice(address.lastIndexOf(':') + 1));
  }

  /** Resolves when the entry answers so. */
  async live(host: string, path: string, status: number): Promise<void> {
    let seen = 0;
    await until(
      async () => (seen = (await this.#entry.get(host, path)).status),
      (now) => now === status,
      30_000,
    ).catch((cause: unknown) => {
      throw new Error(`${host}${path} answers ${seen}, not ${status}`, { cause });
    });
  }

  /** What the agents said last. */
  lastWords(): string {
    const tails = clusters.map((cluster) => {
      const lines = readFileSync(join(this.fleet.data, 'logs', `${cluster}.log`), 'utf8')
        .trimEnd()
        .split('\n');
      return lines.slice(-LAST_WORDS).join('\n');
    });
    return tails.join('\n');
  }

  async weigh(weights: Readonly<Record<Cluster, number>>): Promise<void> {
    await this.#hub.call('POST', pathOf('weights'), { body: { host: hosts.both, weights } });
  }

  /** Brings `endpoints` of a cluster to its manifests. */
  writeEndpoints(cluster: Cluster): void {
    const slices = [...this.endpoints[cluster]].map(([port, condition]) => slice(SERVICE, port, condition));
    this.folder(cluster).write('endpoints.yaml', slices.join(''));
  }

  /** A host with paths, served by an own service with these pods, or by the site's. */
  writeRoute(
    cluster: Cluster,
    name: string,
    host: string,
    paths: readonly string[] = ['/'],
    ports: readonly number[] = [],
  ): void {
    const own = ports.length > 0;
    const first = '      - path: /\n';
    const [head = '', rest = ''] = ingress(NAMESPACE, name, host, own ? name : SERVICE).split(first);
    const rules = paths.map((path) => `      - path: ${path}\n${rest}`);
    const parts = own ? [service(NAMESPACE, name), ...ports.map((port) => slice(name, port, 'ready'))] : [];
    this.folder(cluster).write(`${name}.yaml`, [head, ...rules, ...parts].join(''));
  }

  /** A host with its own certificate at the entry. */
  writeTls(host: string, leaf: TestLeaf): void {
    const name = labelOf(host);
    const tls = `  tls: [{ hosts: [${host}], secretName: ${name} }]\n  rules:`;
    const rule = ingress(NAMESPACE, name, host, SERVICE).replace('  rules:', tls);
    this.folder('eu').write(`${host}-secret.yaml`, secret(name, leaf));
    this.folder('eu').write(`${host}.yaml`, rule);
  }

  /** The host goes on without it. */
  removeTls(host: string): void {
    this.folder('eu').write(`${host}.yaml`, ingress(NAMESPACE, labelOf(host), host, SERVICE));
    this.folder('eu').remove(`${host}-secret.yaml`);
  }

  /** Reloads that the agents of both clusters have made since they started, by cluster and reason. */
  async reloads(): Promise<ReadonlyMap<string, number>> {
    const counts = clusters.map(async (cluster) => {
      const byReason = await metricOf(this.fleet.cluster(cluster).ops, 'headgate_haproxy_reloads_total', 'reason');
      return [...byReason].map(([reason, count]): [string, number] => [`${cluster} ${reason}`, count]);
    });
    return new Map((await Promise.all(counts)).flat());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

/** The first label of a host, by which its Ingress and its Secret are called. */
function labelOf(host: string): string {
  return host.split('.')[0] ?? host;
}

/** On loopback every pod has a port of its own, and so a slice. */
function slice(name: string, port: number, condition: Condition): string {
  const ready = condition === 'ready';
  return `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${name}-${port}
  namespace: ${NAMESPACE}
  labels: { kubernetes.io/service-name: ${name} }
addressType: IPv4
ports:
- { name: http, port: ${port} }
endpoints:
- addresses: [127.0.0.1]
  conditions: { ready: ${ready}, serving: true, terminating: ${!ready} }
`;
}

function secret(name: string, { certificate, key }: TestLeaf): string {
  return `apiVersion: v1
kind: Secret
metadata: { name: ${name}, namespace: ${NAMESPACE} }
type: kubernetes.io/tls
data: { tls.crt: ${base64(certificate)}, tls.key: ${base64(key)} }
`;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
