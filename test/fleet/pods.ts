import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a pod answers: who it is, and the request as it arrived. */
export interface PodAnswer {
  readonly cluster: string;
  readonly pod: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** A request for this path is counted and answered without a body: for load. */
export const COUNT_PATH = '/count';

/** A request for this path is answered only after so many milliseconds. */
export const LATE_PATH = '/late';
export const LATE_MS = 2_500;

type Counts = Readonly<Record<string, number>>;

/** HTTP servers on loopback in a process of their own, so that load and pods do not share a thread. */
export class Pods {
  /** Port by pod, `<cluster>-<number from 1>`. */
  readonly ports: ReadonlyMap<string, number>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ports: ReadonlyMap<string, number>) {
    this.#child = child;
    this.ports = ports;
  }

  static async start(names: readonly string[]): Promise<Pods> {
    const child = fork(import.meta.filename, names, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const [ports] = (await once(child, 'message')) as [Record<string, number>];
    return new Pods(child, new Map(Object.entries(ports)));
  }

  /** Requests that pods have counted for a host, by cluster. */
  async counted(host: string): Promise<Map<string, number>> {
    const answer = once(this.#child, 'message') as Promise<[Counts]>;
    this.#child.send(host);
    const [counts] = await answer;
    return new Map(Object.entries(counts));
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await gone;
  }
}

const counts = new Map<string, Record<string, number>>();

function serve(pod: string): Server {
  const cluster = pod.slice(0, pod.lastIndexOf('-'));
  const server = createServer(({ headers, url = '' }, response) => {
    const host = headers.host ?? '';
    let byCluster = counts.get(host);
    if (byCluster === undefined) counts.set(host, (byCluster = {}));
    byCluster[cluster] = (byCluster[cluster] ?? 0) + 1;
    if (url === COUNT_PATH) {
      response.end();
      return;
    }
    const body = JSON.stringify({ cluster, pod, path: url, headers } satisfies PodAnswer);
    const answer = (): void => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      response.end(body);
    };
    if (url === LATE_PATH) setTimeout(answer, LATE_MS);
    else answer();
  });
  // Longer than HAProxy keeps idle connections, so that the pod is never the one to close.
  server.keepAliveTimeout = 120_000;
  return server.listen(0, '127.0.0.1');
}

if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  const servers = process.argv.slice(2).map((pod) => [pod, serve(pod)] as const);
  await Promise.all(servers.map(async ([, server]) => await once(server, 'listening')));
  process.send(Object.fromEntries(servers.map(([pod, server]) => [pod, (server.address() as AddressInfo).port])));
  process.on('message', (host: string) => process.send?.(counts.get(host) ?? {}));
  // The parent is gone: so are the pods.
  process.on('disconnect', () => process.exit(0));
}
