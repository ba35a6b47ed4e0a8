import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodePod } from './node-pod.ts';

const PROBE_EVERY_MS = 200;
/** Between a probe and the rules of every node. */
const LAG_MS = 1_000;

type Port = 'http' | 'https';

/**
 * What a Service is to its clients: connections go in turn to the pods that are ready, and stay where they are. That a
 * pod is ready, or no longer, is acted on up to a second later.
 */
export class ServiceBalancer implements AsyncDisposable {
  readonly #servers: Readonly<Record<Port, Server>>;
  readonly #sockets = new Set<Socket>();
  readonly #ready = new Set<NodePod>();
  readonly #end = new AbortController();
  readonly #probing = new Set<Promise<void>>();
  #turn = 0;

  private constructor() {
    this.#servers = { http: this.#listener('http'), https: this.#listener('https') };
  }

  static async start(): Promise<ServiceBalancer> {
    const balancer = new ServiceBalancer();
    for (const server of Object.values(balancer.#servers)) {
      await once(server.listen(0, '127.0.0.1'), 'listening');
    }
    return balancer;
  }

  port(of: Port): number {
    return (this.#servers[of].address() as AddressInfo).port;
  }

  has(pod: NodePod): boolean {
    return this.#ready.has(pod);
  }

  /** Probes the pod until it is gone. */
  add(pod: NodePod): void {
    const probing = this.#probe(pod).finally(() => this.#probing.delete(probing));
    this.#probing.add(probing);
  }

  async #probe(pod: NodePod): Promise<void> {
    const { signal } = this.#end;
    let was = false;
    while (!signal.aborted) {
      const status = await pod.readiness().then(
        (answer) => answer.status,
        () => 0,
      );
      const ready = status === 200;
      if (ready !== was) {
        await sleep(Math.random() * LAG_MS, undefined, { signal }).catch(() => undefined);
        if (ready) this.#ready.add(pod);
        else this.#ready.delete(pod);
      }
      if (was && status === 0) return;
      was = ready;
      await sleep(PROBE_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #listener(port: Port): Server {
    return createServer({ allowHalfOpen: true }, (client) => {
      const pods = [...this.#ready];
      const pod = pods[this.#turn++ % pods.length];
      if (pod === undefined) {
        client.destroy();
        return;
      }
      const [host = '', number = ''] = pod[port].split(':');
      const server = connect({ host, port: Number(number), allowHalfOpen: true });
      for (const [one, other] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#sockets.add(one);
        one.setNoDelay();
        one.pipe(other);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroySoon();
        });
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#probing);
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(
      Object.values(this.#servers).map(async (server) => {
        const closed = once(server, 'close');
        server.close();
        await closed;
      }),
    );
  }
}
