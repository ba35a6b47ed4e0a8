import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectHub, type HubClient } from '../../../cli/client.ts';
import { endpointSlice, ingress, ingressClass, service } from '../../../cli/demo/manifests.ts';
import { reloadsOf } from '../../../cli/demo/measures.ts';
import { ProcessFleet } from '../../../cli/demo/process-fleet.ts';
import { Pods } from '../../fleet/pods.ts';
import { cpuSeconds } from '../machine.ts';
import { Connection } from './poller.ts';
import { type LoadResult, SteadyLoad } from './steady-load.ts';

/** Namespace of hosts that every cluster declares; each cluster serves its own. */
export const BASE = 'base';
/** Namespace whose hosts one cluster declares and every cluster serves. */
export const OPEN = 'open';

const POLICY = `apiVersion: headgate.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: everywhere, namespace: ${OPEN} }
spec:
  targetRefs: [{ group: "", kind: Namespace, name: ${OPEN} }]
  exposure: Everywhere
`;
const PODS_PER_CLUSTER = 2;
/** Hosts that a load is spread over. */
const LOADED = 10;
const RATE = 200;
const LIVE_DEADLINE = 60_000;

export function baseHost(number: number): string {
  return `r${number}.bench.example`;
}

/** Ingress, Service and endpoints of one host, as one file. */
export function application(namespace: string, name: string, host: string, pods: ReadonlyMap<string, number>): string {
  const slices = [...pods].map(([pod, port]) => endpointSlice(namespace, name, pod, port));
  return `${ingress(namespace, name, host)}${service(namespace, name)}${slices.join('')}`;
}

/** A hub, agents and HAProxies as processes of this machine, with a number of routes that all clusters declare. */
export class BenchFleet implements AsyncDisposable {
  readonly processes: ProcessFleet;
  readonly hub: HubClient;
  readonly #pods: Pods;
  readonly #connections: ReadonlyMap<string, Connection>;

  private constructor(
    processes: ProcessFleet,
    hub: HubClient,
    pods: Pods,
    connections: ReadonlyMap<string, Connection>,
  ) {
    this.processes = processes;
    this.hub = hub;
    this.#pods = pods;
    this.#connections = connections;
  }

  /** Resolves when every entry serves every route and no HAProxy reloads any more. */
  static async start(names: readonly string[], routes: number): Promise<BenchFleet> {
    const data = mkdtempSync(join(tmpdir(), 'hb-'));
    await using stack = new AsyncDisposableStack();
    stack.defer(() => rmSync(data, { recursive: true, force: true }));
    const podNames = names.flatMap((name) => Array.from({ length: PODS_PER_CLUSTER }, (_, i) => `${name}-${i + 1}`));
    const pods = await Pods.start(podNames);
    stack.defer(async () => await pods.stop());
    const processes = stack.use(await ProcessFleet.start(data));
    for (const name of names) {
      const folder = processes.folder(name);
      folder.write('class.yaml', ingressClass);
      for (let i = 0; i < routes; i++) {
        folder.write(`base/r${i}.yaml`, application(BASE, `r${i}`, baseHost(i), podsOf(pods, name, 1)));
      }
    }
    await processes.must(['apply', '-f', '-'], POLICY);
    for (const name of names) await processes.addCluster(name);
    const hub = await connectHub({ config: processes.adminConfig });
    const connections = new Map([...processes.entries()].map(([name, at]) => [name, stack.use(new Connection(at))]));
    const fleet = new BenchFleet(processes, hub, pods, connections);
    await fleet.#serves(routes);
    await fleet.#quiet();
    fleet.#stack.use(stack.move());
    return fleet;
  }

  readonly #stack = new AsyncDisposableStack();

  get clusters(): readonly string[] {
    return [...this.processes.clusters.keys()];
  }

  connection(cluster: string): Connection {
    const connection = this.#connections.get(cluster);
    if (connection === undefined) throw new RangeError(`no cluster ${cluster}`);
    return connection;
  }

  /** Pods of a cluster: name → port. */
  pods(cluster: string, count = PODS_PER_CLUSTER): ReadonlyMap<string, number> {
    return podsOf(this.#pods, cluster, count);
  }

  /** A steady load on hosts that every cluster declares, through every entry. */
  async load(): Promise<SteadyLoad> {
    const hosts = Array.from({ length: LOADED }, (_, i) => baseHost(i));
    return await SteadyLoad.start({ entries: Object.fromEntries(this.processes.entries()), hosts, rate: RATE });
  }

  /** HAProxy's own counts of reloads, by cluster. */
  async reloads(): Promise<ReadonlyMap<string, number>> {
    const counts = this.clusters.map(
      async (name) => [name, await patiently(this.processes.cluster(name).data)] as const,
    );
    return new Map(await Promise.all(counts));
  }

  /** Seconds of CPU so far: the hub's, and all cluster agents' together. */
  async cpu(): Promise<{ readonly hub: number; readonly agents: number }> {
    const agents = [...this.processes.clusters.values()].map(async ({ agent }) => await cpuSeconds(agent.pid));
    const all = await Promise.all(agents);
    return { hub: await cpuSeconds(this.processes.hub.pid), agents: all.reduce((sum, one) => sum + one, 0) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }

  async #serves(routes: number): Promise<void> {
    const deadline = performance.now() + LIVE_DEADLINE;
    for (const name of this.clusters) {
      const connection = this.connection(name);
      for (let i = 0; i < routes;) {
        const { status } = await connection.get(baseHost(i), '/');
        if (status === 200) i += 1;
        else if (performance.now() > deadline) throw new Error(`${name} answers ${baseHost(i)} with ${status}`);
        else await sleep(20);
      }
    }
  }

  /** Pools that are filled at the start may still want a reload. */
  async #quiet(): Promise<void> {
    for (let before = await this.reloads(); ;) {
      await sleep(3_000);
      const now = await this.reloads();
      if ([...now].every(([name, count]) => before.get(name) === count)) return;
      before = now;
    }
  }
}

/** HAProxy's master is deaf while it starts itself anew for a reload. */
async function patiently(data: string): Promise<number> {
  for (let tries = 0; ; tries++) {
    try {
      return await reloadsOf(data);
    } catch (error) {
      if (tries === 20) throw error;
      await sleep(100);
    }
  }
}

/** Faults of a load: requests lost. */
export function lost({ requests, failed, failures }: LoadResult): string[] {
  return failed === 0 ? [] : [`${failed} of ${requests} requests failed: ${failures.join('; ')}`];
}

function podsOf({ ports }: Pods, cluster: string, count: number): ReadonlyMap<string, number> {
  return new Map([...ports].filter(([pod]) => pod.startsWith(`${cluster}-`)).slice(0, count));
}
