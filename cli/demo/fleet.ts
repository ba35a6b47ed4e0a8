import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { extname, join } from 'node:path';

import { isAlive } from '../../agent/haproxy/process/stop.ts';
import { endpointSlice, ingress, ingressClass, service } from './manifests.ts';
import { ProcessFleet, type FleetCluster } from './process-fleet.ts';
import type { Finished, Program } from './processes.ts';

/** Namespace and hosts that every demo cluster declares. */
export const NAMESPACE = 'shop';
export const HOSTS = {
  shop: 'shop.example',
  cart: 'cart.example',
  sticky: 'sticky.example',
  /** The one that a rival claims. */
  desk: 'desk.example',
} as const;
const PODS_PER_CLUSTER = 2;

/** What the fleet's people decided at the hub, before anything runs. */
const POLICIES = `apiVersion: headgate.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: news-everywhere, namespace: news }
spec:
  targetRefs: [{ group: "", kind: Namespace, name: news }]
  exposure: Everywhere
---
apiVersion: headgate.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: sticky, namespace: ${NAMESPACE} }
spec:
  targetRefs: [{ group: networking.k8s.io, kind: Ingress, name: sticky }]
  tiers:
  - clusters: [CLUSTERS]
  affinity: { cookie: true, drain: 10m }
`;

/** The demo's fleet: every cluster declares the same hosts and has pods of its own. */
export class DemoFleet {
  readonly #fleet: ProcessFleet;
  readonly #pods: ChildProcess;
  readonly #names: readonly string[];
  /** Port by pod, `<cluster>-<number>`. */
  readonly ports: ReadonlyMap<string, number>;

  private constructor(
    fleet: ProcessFleet,
    names: readonly string[],
    pods: ChildProcess,
    ports: ReadonlyMap<string, number>,
  ) {
    this.#fleet = fleet;
    this.#names = names;
    this.#pods = pods;
    this.ports = ports;
  }

  /** @param names clusters to run; @param data an empty or new folder. */
  static async start(data: string, names: readonly string[]): Promise<DemoFleet> {
    const podNames = names.flatMap((name) => Array.from({ length: PODS_PER_CLUSTER }, (_, i) => `${name}-${i + 1}`));
    const pods = fork(join(import.meta.dirname, `backends${extname(import.meta.filename)}`), podNames, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const listening = once(pods, 'message') as Promise<[Record<string, number>]>;
    const [fleet, [ports]] = await Promise.all([ProcessFleet.start(data), listening]);
    const demo = new DemoFleet(fleet, names, pods, new Map(Object.entries(ports)));
    try {
      for (const name of names) demo.#writeManifests(name);
      await Promise.all(names.map(async (name) => await fleet.addCluster(name)));
    } catch (thrown) {
      await demo.stop();
      throw thrown;
    }
    return demo;
  }

  /** What the fleet's people decide at the hub. */
  async applyPolicies(): Promise<void> {
    const names = [...this.clusters.keys()];
    const clusters = names.map((name, i) => `{ name: ${name}, weight: ${i === 0 ? 50 : 25} }`).join(', ');
    await this.must(['apply', '-f', '-'], POLICIES.replace('CLUSTERS', clusters));
  }

  get data(): string {
    return this.#fleet.data;
  }

  get adminConfig(): string {
    return this.#fleet.adminConfig;
  }

  get hub(): Program {
    return this.#fleet.hub;
  }

  /** In the order asked for, whichever was ready first. */
  get clusters(): ReadonlyMap<string, FleetCluster> {
    const { clusters } = this.#fleet;
    return new Map(this.#names.flatMap((name) => [...clusters].filter(([known]) => known === name)));
  }

  cluster(name: string): FleetCluster {
    return this.#fleet.cluster(name);
  }

  /** Entry addresses by cluster. */
  entries(): Map<string, string> {
    return new Map([...this.clusters].map(([name, { http }]) => [name, http]));
  }

  async run(args: readonly string[], input?: string): Promise<Finished> {
    return await this.#fleet.run(args, input);
  }

  async must(args: readonly string[], input?: string): Promise<string> {
    return await this.#fleet.must(args, input);
  }

  async restartHub(): Promise<void> {
    await this.#fleet.restartHub();
  }

  async startAgent(name: string): Promise<void> {
    await this.#fleet.startAgent(name);
  }

  killCluster(name: string): void {
    this.#fleet.killCluster(name);
  }

  /** Every process of the demo that is still there. */
  processes(): number[] {
    return [...this.#fleet.processes(), this.#pods.pid ?? 0].filter((pid) => pid > 0 && isAlive(pid));
  }

  /** A service's endpoint slices: those of `ready` pods ready, the others not. */
  writeEndpoints(cluster: string, name: string, ready: readonly string[] = this.podsOf(cluster)): void {
    const slices = this.podsOf(cluster).map((pod) =>
      endpointSlice(NAMESPACE, name, pod, this.ports.get(pod) ?? 0, ready.includes(pod)),
    );
    this.#fleet.folder(cluster).write(`${name}-endpoints.yaml`, slices.join(''));
  }

  podsOf(cluster: string): string[] {
    return [...this.ports.keys()].filter((pod) => pod.startsWith(`${cluster}-`));
  }

  /** Ends everything. Safe to call twice. */
  async stop(): Promise<void> {
    await this.#fleet.stop();
    if (this.#pods.exitCode !== null || this.#pods.signalCode !== null) return;
    const gone = once(this.#pods, 'exit');
    this.#pods.kill('SIGTERM');
    await gone;
  }

  #writeManifests(cluster: string): void {
    const folder = this.#fleet.folder(cluster);
    folder.write('class.yaml', ingressClass);
    for (const [name, host] of Object.entries(HOSTS)) {
      folder.write(`${name}.yaml`, `${ingress(NAMESPACE, name, host)}${service(NAMESPACE, name)}`);
      this.writeEndpoints(cluster, name);
    }
  }
}
