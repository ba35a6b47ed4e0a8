/*
 * A fleet of real Kubernetes clusters: an API server each, with an agent that reads it and a HAProxy of its own, under
 * one hub. The demo of Kubernetes, its bench and promise 5 stand on it. It runs in script/in-pod-network.
 */
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectHub, type HubClient } from '../../../cli/client.ts';
import { ProcessFleet } from '../../../cli/demo/process-fleet.ts';
import { Connection } from '../../bench/fleet/poller.ts';
import type { KubeCluster } from '../ground/kube-cluster.ts';
import type { KubeObject } from '../ground/kube-api.ts';
import { KubeGround } from '../ground/kube-ground.ts';
import { endpointSlice, ingress, service } from '../ground/objects.ts';
import { ingressClass } from '../source/followed.fixture.ts';
import { POD_PORT, PodServers } from './pod-servers.ts';

/** Namespace of hosts that every cluster declares; each cluster serves its own. */
export const BASE = 'base';
/** Namespace whose hosts one cluster declares and every cluster serves. */
export const OPEN = 'open';
/** A Service of `OPEN` with the endpoints of its cluster, for Ingresses that come later. */
export const SHARED = 'shared';

const EVERYWHERE = `apiVersion: headgate.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: everywhere, namespace: ${OPEN} }
spec:
  targetRefs: [{ group: "", kind: Namespace, name: ${OPEN} }]
  exposure: Everywhere
`;
const PODS_PER_CLUSTER = 2;
/** Milliseconds. */
const SERVES_WITHIN = 120_000;

export const CRDS = join(import.meta.dirname, '../../../deploy/chart/headgate/crds');

export interface KubeFleetOptions {
  readonly clusters: readonly string[];
  /** Hosts that every cluster declares, a Service and an EndpointSlice each. */
  readonly routes: number;
  /** Install Headgate's kinds. False where absent. */
  readonly customResources?: boolean;
}

export class KubeFleet implements AsyncDisposable {
  readonly ground: KubeGround;
  readonly processes: ProcessFleet;
  readonly hub: HubClient;
  readonly pods: PodServers;
  readonly #connections = new Map<string, Connection>();
  readonly #stack: AsyncDisposableStack;

  private constructor(
    ground: KubeGround,
    processes: ProcessFleet,
    hub: HubClient,
    pods: PodServers,
    stack: AsyncDisposableStack,
  ) {
    this.ground = ground;
    this.processes = processes;
    this.hub = hub;
    this.pods = pods;
    this.#stack = stack;
    for (const [name, address] of processes.entries()) {
      this.#connections.set(name, stack.use(new Connection(address)));
    }
  }

  /** Resolves when every entry serves every route. */
  static async start({ clusters, routes, customResources = false }: KubeFleetOptions): Promise<KubeFleet> {
    await using stack = new AsyncDisposableStack();
    // A short name: the sockets of HAProxy lie below it.
    const folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'hk-')));
    const podNames = clusters.flatMap((name) => Array.from({ length: PODS_PER_CLUSTER }, (_, i) => `${name}-${i + 1}`));
    const pods = stack.use(await PodServers.start(podNames));
    const ground = stack.use(await KubeGround.start({ clusters }));
    const processes = stack.use(await ProcessFleet.start(folder.path));
    await Promise.all(
      ground.clusters.map(async (cluster) => {
        if (customResources) await installKinds(cluster);
        await seed(cluster, pods.of(cluster.name), routes);
      }),
    );
    await processes.must(['apply', '-f', '-'], EVERYWHERE);
    await Promise.all(
      ground.clusters.map(async ({ name, kubeconfig }) => {
        await processes.addCluster(name, ['--source', 'kubernetes', '--kubeconfig', kubeconfig]);
      }),
    );
    const hub = await connectHub({ config: processes.adminConfig });
    const fleet = new KubeFleet(ground, processes, hub, pods, stack.move());
    try {
      await fleet.#serves(routes);
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
    return fleet;
  }

  /** In the order asked for. */
  get clusters(): readonly string[] {
    return this.ground.clusters.map(({ name }) => name);
  }

  cluster(name: string): KubeCluster {
    return this.ground.cluster(name);
  }

  /** To a cluster's entry. */
  connection(cluster: string): Connection {
    const connection = this.#connections.get(cluster);
    if (connection === undefined) throw new RangeError(`no cluster ${cluster}`);
    return connection;
  }

  /** Every process of the fleet that runs. */
  pids(): readonly number[] {
    return [...this.ground.pids, ...this.processes.processes(), this.pods.pid];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #serves(routes: number): Promise<void> {
    const deadline = performance.now() + SERVES_WITHIN;
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
}

export function baseHost(number: number): string {
  return `r${number}.${BASE}.example`;
}

/** An Ingress of `OPEN`, of our class. */
export function openIngress(name: string, service = name): KubeObject {
  return ingress({ namespace: OPEN, name, host: openHost(name), service, ingressClass: 'headgate' });
}

export function openHost(name: string): string {
  return `${name}.${OPEN}.example`;
}

/** The one EndpointSlice of a Service. */
export function sliceOf(namespace: string, name: string, addresses: readonly string[]): KubeObject {
  const endpoints = addresses.map((address) => ({ address }));
  return endpointSlice({ namespace, name: `${name}-1`, service: name, port: POD_PORT, endpoints });
}

async function installKinds(cluster: KubeCluster): Promise<void> {
  await cluster.kubectl(['apply', '-f', CRDS]);
  await cluster.kubectl(['wait', '--for=condition=Established', '--timeout=60s', '-f', CRDS]);
}

async function seed(cluster: KubeCluster, addresses: readonly string[], routes: number): Promise<void> {
  await cluster.api.apply(ingressClass);
  for (const namespace of [BASE, OPEN]) await cluster.createNamespace(namespace);
  await cluster.api.apply(service({ namespace: OPEN, name: SHARED }), sliceOf(OPEN, SHARED, addresses));
  await cluster.api.createAll(baseObjects(addresses.slice(0, 1), routes));
}

function* baseObjects(addresses: readonly string[], routes: number) {
  for (let i = 0; i < routes; i++) {
    const name = `r${i}`;
    yield service({ namespace: BASE, name });
    yield sliceOf(BASE, name, addresses);
    yield ingress({ namespace: BASE, name, host: baseHost(i), service: name, ingressClass: 'headgate' });
  }
}
