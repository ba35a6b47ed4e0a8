import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { endpointSlice, ingress, ingressClass, service } from '../../cli/demo/manifests.ts';
import { ProcessFleet, type FleetCluster } from '../../cli/demo/process-fleet.ts';
import type { ExplainItem, Item } from '../../hub/api/types.ts';
import { Client, type Ask, type Reply, type Tally } from './client.ts';
import { Pods } from './pods.ts';
import { farFrom, type Weights } from './shares.ts';

/** With room for a busy machine. */
const DEADLINE_MS = 15_000;
const POLL_MS = 20;

/** One host's application as one cluster declares it. */
export interface App {
  readonly namespace: string;
  readonly host: string;
  /** Of Ingress and Service; default `app`. */
  readonly name?: string;
  /** Ready pods, the first of the cluster's; default 1. The others are there and not ready. */
  readonly ready?: number;
  /** Number of the first ready pod; default 1. */
  readonly firstPod?: number;
  readonly path?: string;
  readonly pathType?: 'Prefix' | 'Exact';
  /** Further lines of the Ingress's metadata, for example a creationTimestamp. */
  readonly metadata?: string;
}

/** Three clusters, or others, with pods and a client: real processes, all ended and removed at the end. */
export class TestFleet implements AsyncDisposable {
  readonly fleet: ProcessFleet;
  readonly pods: Pods;
  readonly client = new Client();

  private constructor(fleet: ProcessFleet, pods: Pods) {
    this.fleet = fleet;
    this.pods = pods;
  }

  /** @param apart further clusters that have pods and a folder, and whose agents the test starts. @param hubCommand as ProcessFleet has it */
  static async start(
    names: readonly string[] = ['eu', 'us', 'ap'],
    podsPerCluster = 3,
    apart: readonly string[] = [],
    hubCommand?: readonly string[],
  ): Promise<TestFleet> {
    const data = mkdtempSync(join(tmpdir(), 'hg-'));
    const podNames = [...names, ...apart].flatMap((name) =>
      Array.from({ length: podsPerCluster }, (_, i) => `${name}-${i + 1}`),
    );
    const [fleet, pods] = await Promise.all([ProcessFleet.start(data, hubCommand), Pods.start(podNames)]);
    const started = new TestFleet(fleet, pods);
    try {
      for (const name of [...names, ...apart]) fleet.folder(name).write('class.yaml', ingressClass);
      await Promise.all(names.map(async (name) => await fleet.addCluster(name)));
    } catch (thrown) {
      await started[Symbol.asyncDispose]();
      throw thrown;
    }
    return started;
  }

  cluster(name: string): FleetCluster {
    return this.fleet.cluster(name);
  }

  entry(cluster: string): string {
    return this.cluster(cluster).http;
  }

  /** Writes an application's manifests into a cluster's folder, in one file. */
  write(cluster: string, app: App): void {
    const { namespace, host, name = 'app', ready = 1, firstPod = 1, path = '/', pathType = 'Prefix', metadata } = app;
    const pods = [...this.pods.ports].filter(([pod]) => pod.startsWith(`${cluster}-`));
    const slices = pods.map(([pod, port], i) =>
      endpointSlice(namespace, name, pod, port, i + 1 >= firstPod && i + 1 < firstPod + ready),
    );
    const rule = ingress(namespace, name, host)
      .replace('path: /', `path: ${path}`)
      .replace('pathType: Prefix', `pathType: ${pathType}`);
    const text = metadata === undefined ? rule : rule.replace('metadata: { ', `metadata: { ${metadata}, `);
    this.fleet
      .folder(cluster)
      .write(`${namespace}-${name}.yaml`, `${text}${service(namespace, name)}${slices.join('')}`);
  }

  remove(cluster: string, { namespace, name = 'app' }: Pick<App, 'namespace' | 'name'>): void {
    this.fleet.folder(cluster).remove(`${namespace}-${name}.yaml`);
  }

  /** The same application in several clusters. @param ready pods ready, by cluster */
  writeAll(app: Omit<App, 'ready'>, ready: Readonly<Record<string, number>>): void {
    for (const [cluster, count] of Object.entries(ready)) this.write(cluster, { ...app, ready: count });
  }

  async ask(cluster: string, host: string, more: Omit<Ask, 'entry' | 'host'> = {}): Promise<Reply> {
    return await this.client.ask({ entry: this.entry(cluster), host, ...more });
  }

  async sample(cluster: string, host: string, count: number, path = '/'): Promise<Tally> {
    return await this.client.sample({ entry: this.entry(cluster), host, path }, count);
  }

  /** Waits until `count` requests at an entry are answered in these shares, each within 4 σ, and none fails. */
  async expectShares(cluster: string, host: string, asked: Weights, count = 100, path = '/'): Promise<void> {
    let last = '';
    await eventually(
      async () => {
        const seen = await this.sample(cluster, host, count, path);
        last = seen.failed.size > 0 ? `failed: ${JSON.stringify([...seen.failed])}` : '';
        last ||= farFrom(seen.byCluster, asked) ?? '';
        return last === '';
      },
      () => `${host}${path} at ${cluster}: ${last}`,
    );
  }

  /** Waits until an entry's agent reports that it splits a host's first route so, in units of 100,000. */
  async expectSplit(entry: string, host: string, asked: Weights): Promise<void> {
    let last = '';
    await eventually(
      async () => {
        const { clusters, split_source } = await this.explain(entry, `http://${host}/`);
        const shares = clusters.filter(({ share }) => share > 0).map(({ cluster, share }) => [cluster, share]);
        last = `${split_source ?? 'nobody'} says ${JSON.stringify(shares)}`;
        return split_source === 'agent' && sameShares(Object.fromEntries(shares) as Weights, asked);
      },
      () => `${host} at ${entry}: ${last}`,
    );
  }

  /** Waits until an entry answers a host with this status. */
  async expectStatus(cluster: string, host: string, status: number, path = '/'): Promise<void> {
    let last: Reply | undefined;
    await eventually(
      async () => (last = await this.ask(cluster, host, { path })).status === status,
      () => `${host} at ${cluster}: ${last?.status ?? 'no answer'}, wanted ${status}`,
    );
  }

  /** Waits until a returning client is served by this cluster. */
  async expectReturn(entry: string, host: string, cookie: string, cluster: string): Promise<void> {
    let last: Reply | undefined;
    await eventually(
      async () => (last = await this.ask(entry, host, { headers: { cookie } })).pod?.cluster === cluster,
      () => `${host} at ${entry}: ${last?.pod?.cluster ?? last?.text ?? ''} answered, wanted ${cluster}`,
    );
  }

  async apply(manifests: string): Promise<void> {
    await this.fleet.must(['apply', '-f', '-'], manifests);
  }

  async explain(cluster: string, url: string): Promise<ExplainItem> {
    return JSON.parse(await this.fleet.must(['explain', url, '--cluster', cluster, '-o', 'json'])) as ExplainItem;
  }

  /** What every entry says of a URL. */
  async explainAll(url: string): Promise<ExplainItem[]> {
    const { items } = JSON.parse(await this.fleet.must(['explain', url, '-o', 'json'])) as { items: ExplainItem[] };
    return items;
  }

  async list(kind: string): Promise<Item[]> {
    const { items } = JSON.parse(await this.fleet.must(['get', kind, '-A', '-o', 'json'])) as { items: Item[] };
    return items;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await Promise.all([this.fleet.stop(), this.pods.stop()]);
    rmSync(this.fleet.data, { recursive: true, force: true });
  }
}

function sameShares(a: Weights, b: Weights): boolean {
  return [...Object.keys(a), ...Object.keys(b)].every((name) => (a[name] ?? 0) === (b[name] ?? 0));
}

/** For `targetRefs`: all Ingresses of a namespace. */
export function wholeNamespace(name: string): string {
  return `{ group: "", kind: Namespace, name: ${name} }`;
}

/** A TrafficPolicy. @param spec its fields in flow style, without the outer braces; @param target empty: the fleet */
export function trafficPolicy(
  namespace: string,
  spec: string,
  target: string = wholeNamespace(namespace),
  name = 'app',
): string {
  return `---
apiVersion: headgate.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: ${name}, namespace: ${namespace} }
spec: { targetRefs: [${target}], ${spec} }
`;
}

/** `tiers: …` of one tier with these weights. */
export function tier(weights: Weights, more = ''): string {
  const clusters = Object.entries(weights).map(([name, weight]) => `{ name: ${name}, weight: ${weight} }`);
  return `{ clusters: [${clusters.join(', ')}]${more === '' ? '' : `, ${more}`} }`;
}

/** Polls until `check` holds; returns the milliseconds that took. @throws Error with `otherwise` at the deadline */
export async function eventually(
  check: () => Promise<boolean>,
  otherwise: () => string,
  deadlineMs = DEADLINE_MS,
): Promise<number> {
  const started = performance.now();
  for (;;) {
    if (await check()) return performance.now() - started;
    if (performance.now() - started > deadlineMs) throw new Error(`after ${deadlineMs} ms: ${otherwise()}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
