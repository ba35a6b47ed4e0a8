import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { answerAs, nextPodAddress } from '../ground/answering.ts';

/** What each of the pods listens on. */
export const POD_PORT = 8080;

/**
 * What answers for the pods of many clusters, in a process of its own, so that it shares no thread with what polls.
 * Nobody keeps these pods as objects: EndpointSlices are written with their addresses.
 */
export class PodServers implements AsyncDisposable {
  /** Address by pod, `<cluster>-<number from 1>`. */
  readonly addresses: ReadonlyMap<string, string>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, addresses: ReadonlyMap<string, string>) {
    this.#child = child;
    this.addresses = addresses;
  }

  static async start(names: readonly string[]): Promise<PodServers> {
    const addresses = names.map((name) => [name, nextPodAddress()] as const);
    const child = fork(import.meta.filename, [JSON.stringify(addresses)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const ended = once(child, 'exit').then(() => {
      throw new Error('the pods ended before they listened');
    });
    await Promise.race([once(child, 'message'), ended]);
    ended.catch(() => undefined);
    return new PodServers(child, new Map(addresses));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Addresses of a cluster's pods. */
  of(cluster: string): readonly string[] {
    return [...this.addresses].filter(([pod]) => pod.startsWith(`${cluster}-`)).map(([, address]) => address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await gone;
  }
}

async function serve(pod: string, address: string): Promise<void> {
  const body = JSON.stringify({ cluster: pod.slice(0, pod.lastIndexOf('-')), pod });
  await answerAs(pod, address, POD_PORT, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    response.end(body);
  });
}

if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  const addresses = JSON.parse(process.argv[2] ?? '') as (readonly [string, string])[];
  await Promise.all(addresses.map(async ([pod, address]) => await serve(pod, address)));
  process.send('listening');
  // The parent is gone: so are the pods.
  process.on('disconnect', () => process.exit(0));
}
