import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerAs, isCode, nextPodAddress, type Answering } from './answering.ts';
import { type KubeApi, KubeApiError, type KubeObject } from './kube-api.ts';
import type { KubeCluster } from './kube-cluster.ts';
import { node } from './objects.ts';

export interface PodStandInOptions {
  /** Names of the nodes to create; one, `node-1`, where absent. */
  readonly nodes?: readonly string[];
  /** Milliseconds for which a pod that is deleted goes on answering. 0 where absent. */
  readonly linger?: number;
  /** What a pod answers; its name and a line feed where absent. */
  readonly respond?: (pod: Pod, request: IncomingMessage, response: ServerResponse) => void;
}

export interface Pod extends KubeObject {
  readonly metadata: KubeObject['metadata'] & { readonly namespace: string; readonly uid: string };
  readonly spec: {
    readonly nodeName?: string;
    readonly containers: readonly {
      readonly name: string;
      readonly image: string;
      readonly ports?: readonly { readonly containerPort: number; readonly protocol?: string }[];
    }[];
  };
}

interface Placed {
  readonly pod: Pod;
  /** Name of its node. */
  readonly node: string;
  /** Its steps in order, one at a time; never rejects. */
  work: Promise<void>;
  ending: boolean;
  listeners: readonly Answering[];
}

/** Milliseconds between attempts while the API server does not answer. */
const RETRY = 200;
const DEFAULT_PORT = 8080;

/**
 * Scheduler and kubelet of a cluster, as far as Deployments and EndpointSlices can tell: every pod gets a node, an
 * address of 10.244.0.0/16 where it answers HTTP on each of its containers' TCP ports (8080 where they name none), and
 * the status of one that runs and is ready. A pod that is deleted goes at once, or after `linger`.
 */
export class PodStandIn implements AsyncDisposable {
  /** Internal address by node. */
  readonly nodes: ReadonlyMap<string, string>;
  readonly #api: KubeApi;
  readonly #options: PodStandInOptions;
  readonly #pods = new Map<string, Placed>();
  readonly #stop = new AbortController();
  #following: Promise<void> = Promise.resolve();
  #turn = 0;

  private constructor(api: KubeApi, nodes: ReadonlyMap<string, string>, options: PodStandInOptions) {
    this.#api = api;
    this.nodes = nodes;
    this.#options = options;
  }

  /** @throws where 10.244.0.0/16 is not local: run it by script/in-pod-network. */
  static async start(cluster: KubeCluster, options: PodStandInOptions = {}): Promise<PodStandIn> {
    const nodes = new Map((options.nodes ?? ['node-1']).map((name) => [name, nextPodAddress()]));
    for (const [name, address] of nodes) {
      const probe = await answerAs(name, address, 0);
      await probe[Symbol.asyncDispose]();
      const created = await cluster.api.create(node(name, address));
      // Admission marks every new node as not ready, and the controller that would take that back does not run.
      await cluster.api.patch(created, { spec: { taints: null } });
    }
    const standIn = new PodStandIn(cluster.apiAs(cluster.credentials.adminToken), nodes, options);
    standIn.#following = standIn.#follow();
    return standIn;
  }

  /** Says of a pod that it is ready or not, as a readiness probe does. It answers all the same. */
  async setReady(pod: { readonly namespace: string; readonly name: string }, ready: boolean): Promise<void> {
    const placed = [...this.#pods.values()].find(
      ({ pod: { metadata } }) => metadata.name === pod.name && metadata.namespace === pod.namespace,
    );
    if (placed === undefined) throw new Error(`there is no pod ${pod.namespace}/${pod.name}`);
    await placed.work;
    await this.#api.patch(placed.pod, { status: this.#status(placed, ready) }, 'status');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    // Also what waits for an API server that is paused.
    this.#api[Symbol.dispose]();
    await this.#following;
    await Promise.all([...this.#pods.values()].map(async (placed) => await placed.work));
    await Promise.all([...this.#pods.values()].map(close));
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const { items, metadata } = await this.#api.list<Pod>('v1', 'Pod');
        const there = new Set(items.map((pod) => pod.metadata.uid));
        for (const [uid, placed] of this.#pods) if (!there.has(uid)) this.#forget(placed);
        for (const pod of items) this.#see(pod);
        const { resourceVersion } = metadata;
        for await (const { type, object } of this.#api.watch<Pod>('v1', 'Pod', { resourceVersion, signal })) {
          if (type === 'ERROR') break;
          if (type === 'ADDED' || type === 'MODIFIED') this.#see(object);
          const placed = type === 'DELETED' ? this.#pods.get(object.metadata.uid) : undefined;
          if (placed !== undefined) this.#forget(placed);
        }
      } catch {
        // The API server is away; tests take it away on purpose.
      }
      await sleep(RETRY, undefined, { signal }).catch(() => undefined);
    }
  }

  #see(pod: Pod): void {
    const { uid, deletionTimestamp } = pod.metadata;
    let placed = this.#pods.get(uid);
    if (placed === undefined) {
      const names = [...this.nodes.keys()];
      const node = pod.spec.nodeName ?? names[this.#turn++ % names.length] ?? '';
      placed = { pod, node, work: Promise.resolve(), ending: false, listeners: [] };
      this.#pods.set(uid, placed);
      if (deletionTimestamp === undefined) this.#then(placed, (it) => this.#begin(it));
    }
    if (deletionTimestamp === undefined || placed.ending) return;
    placed.ending = true;
    this.#then(placed, (it) => this.#end(it));
  }

  /** Adds a step to a pod's work; it is tried again until the API server answers it. */
  #then(placed: Placed, step: (placed: Placed) => Promise<void>): void {
    const { signal } = this.#stop;
    const attempt = async (): Promise<void> => {
      while (!signal.aborted) {
        try {
          await step(placed);
          return;
        } catch (error) {
          // Gone or bound meanwhile: whatever comes of it comes as an event.
          if (error instanceof KubeApiError && error.status.code < 429) return;
          await sleep(RETRY, undefined, { signal }).catch(() => undefined);
        }
      }
    };
    placed.work = placed.work.then(attempt);
  }

  async #begin(placed: Placed): Promise<void> {
    const { pod } = placed;
    if (placed.listeners.length === 0) placed.listeners = await this.#listen(pod);
    if (pod.spec.nodeName === undefined) {
      const target = { apiVersion: 'v1', kind: 'Node', name: placed.node };
      const { name } = pod.metadata;
      const body = { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target };
      const { status } = await this.#api.request('POST', await this.#api.path(pod, 'binding'), { body });
      if (status >= 500 || status === 429) throw new Error(`a binding was answered with ${status}`);
    }
    await this.#api.patch(pod, { status: this.#status(placed, true) }, 'status');
  }

  async #end(placed: Placed): Promise<void> {
    const { signal } = this.#stop;
    await sleep(this.#options.linger ?? 0, undefined, { signal }).catch(() => undefined);
    await close(placed);
    await this.#api.delete(placed.pod, { gracePeriodSeconds: 0 });
  }

  #forget(placed: Placed): void {
    this.#pods.delete(placed.pod.metadata.uid);
    placed.work = placed.work.then(async () => await close(placed));
  }

  async #listen(pod: Pod): Promise<readonly Answering[]> {
    const declared = pod.spec.containers
      .flatMap(({ ports }) => ports ?? [])
      .filter(({ protocol }) => protocol === undefined || protocol === 'TCP')
      .map(({ containerPort }) => containerPort);
    const ports = declared.length === 0 ? [DEFAULT_PORT] : declared;
    const { respond } = this.#options;
    const { name } = pod.metadata;
    for (;;) {
      const address = nextPodAddress();
      const listeners: Answering[] = [];
      try {
        for (const port of ports) {
          const answer = respond === undefined ? undefined : respond.bind(undefined, pod);
          listeners.push(await answerAs(name, address, port, answer));
        }
        return listeners;
      } catch (error) {
        for (const listener of listeners) await listener[Symbol.asyncDispose]();
        // Another process of this network has that address.
        if (!isCode(error, 'EADDRINUSE')) throw error;
      }
    }
  }

  #status({ pod, node, listeners }: Placed, ready: boolean): unknown {
    const now = new Date().toISOString();
    const podIP = listeners[0]?.address;
    const condition = (type: string, holds: boolean) => ({
      type,
      status: holds ? 'True' : 'False',
      lastTransitionTime: now,
    });
    return {
      phase: 'Running',
      podIP,
      podIPs: [{ ip: podIP }],
      hostIP: this.nodes.get(node),
      startTime: now,
      conditions: [
        condition('PodScheduled', true),
        condition('Initialized', true),
        condition('ContainersReady', ready),
        condition('Ready', ready),
      ],
      containerStatuses: pod.spec.containers.map(({ name, image }) => ({
        name,
        image,
        imageID: '',
        ready,
        started: true,
        restartCount: 0,
        state: { running: { startedAt: now } },
      })),
    };
  }
}

async function close(placed: Placed): Promise<void> {
  const { listeners } = placed;
  placed.listeners = [];
  await Promise.all(listeners.map(async (listener) => await listener[Symbol.asyncDispose]()));
}
