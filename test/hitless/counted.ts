import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** Enough for several TLS records, so that a request may break off in its body, too. */
const BODY = 'x'.repeat(40_000);

/** A pod that counts how often it has had each request, by the id that begins its body. */
export class CountingPod implements AsyncDisposable {
  readonly counts = new Map<string, number>();
  readonly #server = createServer((incoming, response) => void this.#serve(incoming, response));

  static async open(): Promise<CountingPod> {
    const pod = new CountingPod();
    // Longer than HAProxy keeps idle connections, so that the pod is never the one to close.
    pod.#server.keepAliveTimeout = 120_000;
    await once(pod.#server.listen(0, '127.0.0.1'), 'listening');
    return pod;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let body: string;
    try {
      body = await text(incoming);
    } catch {
      // Broken off: not had.
      return;
    }
    const id = body.slice(0, body.indexOf(' '));
    this.counts.set(id, (this.counts.get(id) ?? 0) + 1);
    response.end(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Requests with bodies and ids of their own over kept connections, one after another on each. */
export class CountedRequests implements AsyncDisposable {
  readonly ids: string[] = [];
  /** What did not end in 200 and the id, in words. */
  readonly failures: string[] = [];
  readonly #agent: Agent;
  readonly #end = new AbortController();
  readonly #senders: readonly Promise<void>[];

  constructor(port: number, host: string, connections: number) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
    this.#senders = Array.from({ length: connections }, async (_, i) => {
      // Each keeps its own: methods that HAProxy may not send twice.
      const method = i % 2 === 0 ? 'POST' : 'PATCH';
      while (!this.#end.signal.aborted) await this.#send(port, host, method);
    });
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#senders);
    this.#agent.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #send(port: number, host: string, method: string): Promise<void> {
    const id = String(this.ids.length);
    this.ids.push(id);
    try {
      const outgoing = request({ host: '127.0.0.1', port, method, agent: this.#agent, headers: { host } });
      outgoing.end(`${id} ${BODY}`);
      const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
      const got = await text(answer);
      if (answer.statusCode !== 200 || got !== id) this.failures.push(`${method} ${id}: ${answer.statusCode} ${got}`);
    } catch (error) {
      this.failures.push(`${method} ${id}: ${String(error)}`);
    }
  }
}
