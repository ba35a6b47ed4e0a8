import { Agent, request } from 'node:http';

import type { PodAnswer } from './pods.ts';

export interface Ask {
  /** host:port of an entry. */
  readonly entry: string;
  readonly host: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Loopback address to come from. */
  readonly from?: string;
}

export interface Reply {
  /** Undefined where the connection failed. */
  readonly status: number | undefined;
  /** Of a 200: what the pod said. */
  readonly pod: PodAnswer | undefined;
  /** The body of anything else, or the connection's error. */
  readonly text: string;
  /** `name=value` of the first cookie set. */
  readonly cookie: string | undefined;
}

/** Answers by cluster; what failed by status and body (`none` and the error where no answer came). */
export interface Tally {
  readonly total: number;
  readonly byCluster: ReadonlyMap<string, number>;
  readonly failed: ReadonlyMap<string, number>;
}

const TIMEOUT_MS = 5_000;
const PARALLEL = 24;

/** Sends requests over kept-alive connections and says truthfully what came of each. Never throws. */
export class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: PARALLEL });

  async ask({ entry, host, path = '/', headers = {}, from }: Ask): Promise<Reply> {
    const colon = entry.lastIndexOf(':');
    return await new Promise((resolve) => {
      const failed = (error: Error): void =>
        resolve({ status: undefined, pod: undefined, text: error.message, cookie: undefined });
      const call = request(
        {
          agent: this.#agent,
          host: entry.slice(0, colon),
          port: entry.slice(colon + 1),
          path,
          headers: { ...headers, host },
          ...(from === undefined ? {} : { localAddress: from }),
          timeout: TIMEOUT_MS,
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', failed);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            const status = response.statusCode;
            const cookie = response.headers['set-cookie']?.[0]?.split(';')[0];
            resolve({ status, pod: status === 200 ? (JSON.parse(text) as PodAnswer) : undefined, text, cookie });
          });
        },
      );
      call.on('timeout', () => call.destroy(new Error('no answer in time')));
      call.on('error', failed);
      call.end();
    });
  }

  async sample(ask: Ask, count: number): Promise<Tally> {
    const byCluster = new Map<string, number>();
    const failed = new Map<string, number>();
    let left = count;
    const worker = async (): Promise<void> => {
      while (left-- > 0) {
        const { pod, status, text } = await this.ask(ask);
        if (pod === undefined) add(failed, `${status ?? 'none'} ${text.trim()}`);
        else add(byCluster, pod.cluster);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
    return { total: count, byCluster, failed };
  }

  close(): void {
    this.#agent.destroy();
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
