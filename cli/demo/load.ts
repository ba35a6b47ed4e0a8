import { Agent, request } from 'node:http';

import type { Answer } from './backends.ts';

/** What came of one request: the pod that answered, or what went wrong. */
export type Outcome =
  | { readonly ok: true; readonly cluster: string; readonly pod: string; readonly cookie: string | undefined }
  | { readonly ok: false; readonly status: number | undefined; readonly error: string };

export interface Target {
  /** host:port of an entry. */
  readonly address: string;
  readonly host: string;
  readonly path?: string;
  readonly cookie?: string;
}

const TIMEOUT_MS = 5_000;

/** One GET through an entry, over kept-alive connections. Never throws. */
export class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  async get({ address, host, path = '/', cookie }: Target): Promise<Outcome> {
    const colon = address.lastIndexOf(':');
    const headers = cookie === undefined ? { host } : { host, cookie };
    return await new Promise((resolve) => {
      const call = request(
        {
          agent: this.#agent,
          host: address.slice(0, colon),
          port: address.slice(colon + 1),
          path,
          headers,
          timeout: TIMEOUT_MS,
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', (error) => resolve({ ok: false, status: response.statusCode, error: error.message }));
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            if (response.statusCode !== 200) {
              resolve({ ok: false, status: response.statusCode, error: text.trim().slice(0, 80) });
              return;
            }
            const { cluster, pod } = JSON.parse(text) as Answer;
            resolve({ ok: true, cluster, pod, cookie: response.headers['set-cookie']?.[0]?.split(';')[0] });
          });
        },
      );
      call.on('timeout', () => call.destroy(new Error('no answer in time')));
      call.on('error', (error) => resolve({ ok: false, status: undefined, error: error.message }));
      call.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Requests per answering cluster, and those that failed. */
export interface Tally {
  readonly byCluster: Map<string, number>;
  failed: number;
  total: number;
}

/** Sends `count` requests, `parallel` at a time, and counts who answered. */
export async function sample(client: Client, target: Target, count: number, parallel = 16): Promise<Tally> {
  const tally: Tally = { byCluster: new Map(), failed: 0, total: 0 };
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const outcome = await client.get(target);
      tally.total += 1;
      if (outcome.ok) tally.byCluster.set(outcome.cluster, (tally.byCluster.get(outcome.cluster) ?? 0) + 1);
      else tally.failed += 1;
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return tally;
}

export interface Failure {
  /** Milliseconds since the load began. */
  readonly at: number;
  readonly entry: string;
  readonly host: string;
  readonly status: number | undefined;
  readonly error: string;
}

/** A steady, bounded load over all entries that runs until it is stopped, and remembers what failed. */
export class Load {
  readonly failures: Failure[] = [];
  /** When a whole cluster was killed, on this load's clock: what was in flight to it is counted apart. */
  killed: { readonly from: number; readonly to: number } | undefined;
  /** Requests answered by each cluster since the last `take`, by entry. */
  #seen = new Map<string, Map<string, number>>();
  total = 0;
  readonly #client = new Client();
  readonly #timer: NodeJS.Timeout;
  readonly #started = performance.now();
  readonly #inFlight = new Set<Promise<void>>();
  /** Entries that are down on purpose. */
  readonly #paused = new Set<string>();

  /** @param rate requests a second over all entries and hosts together. */
  constructor(entries: ReadonlyMap<string, string>, hosts: readonly string[], rate: number) {
    const targets = [...entries].flatMap(([entry, address]) => hosts.map((host) => ({ entry, address, host })));
    let next = 0;
    let owed = 0;
    let last = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      owed = Math.min(owed + ((now - last) * rate) / 1_000, rate);
      last = now;
      for (; owed >= 1; owed -= 1) {
        const target = targets[next++ % targets.length];
        if (target === undefined || this.#paused.has(target.entry)) continue;
        const call = this.#one(target).finally(() => this.#inFlight.delete(call));
        this.#inFlight.add(call);
      }
    }, 5);
  }

  /** Requests no longer enter there; those in flight go on. */
  pause(entry: string): void {
    this.#paused.add(entry);
  }

  resume(entry: string): void {
    this.#paused.delete(entry);
  }

  /** Milliseconds since the load began. */
  now(): number {
    return performance.now() - this.#started;
  }

  /** Who answered since the last call, by entry and then by cluster. */
  take(): Map<string, Map<string, number>> {
    const seen = this.#seen;
    this.#seen = new Map();
    return seen;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#inFlight);
    this.#client.close();
  }

  async #one({ entry, address, host }: { entry: string; address: string; host: string }): Promise<void> {
    const at = this.now();
    const outcome = await this.#client.get({ address, host });
    this.total += 1;
    if (outcome.ok) {
      let byCluster = this.#seen.get(entry);
      if (byCluster === undefined) this.#seen.set(entry, (byCluster = new Map()));
      byCluster.set(outcome.cluster, (byCluster.get(outcome.cluster) ?? 0) + 1);
    } else this.failures.push({ at, entry, host, status: outcome.status, error: outcome.error });
  }
}
