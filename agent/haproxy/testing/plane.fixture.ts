import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../lib/clock.ts';
import { silentLog } from '../../../lib/log.ts';
import { Inventory } from '../../../lib/sync/index.ts';
import type { Resource, ResourceKey } from '../../../lib/sync/index.ts';
import type { DataPlane, DataPlaneOptions, GatewayCredentials, Listeners, ResourceVerdict } from '../data-plane.ts';
import { openDataPlane, renderDataPlane } from '../haproxy-data-plane.ts';
import type { DataPlaneRim } from '../rim.ts';
import { sockets } from '../model/names.ts';
import { showProcesses } from '../process/master.ts';
import type { ProcessTable } from '../process/master.ts';
import { MASTER_SOCKET } from '../process/stop.ts';
import { testCa } from './certificates.fixture.ts';
import type { TestCa } from './certificates.fixture.ts';
import { backend, endpoints, host } from './resources.fixture.ts';
import { fetchAnswer, haproxyBinary, testBackend } from './rig.fixture.ts';
import type { Answer, TestBackend } from './rig.fixture.ts';

/** On loopback, on ports that are free. */
export const anyListeners: Listeners = {
  http: '127.0.0.1:0',
  https: '127.0.0.1:0',
  gateway: '127.0.0.1:0',
  proxyProtocol: false,
  tlsPassthrough: false,
};

/** What is not as it is in most tests. */
type Differences = Partial<DataPlaneOptions> & Partial<Pick<DataPlaneRim, 'log' | 'onRejected'>>;

/** Data planes of one folder, one after another, over one real HAProxy, which ends with the test. */
export class PlaneBench implements AsyncDisposable {
  readonly folder: string;
  readonly gateway: GatewayCredentials;
  /** Of the gateway link. */
  readonly ca: TestCa;
  readonly #stack: AsyncDisposableStack;
  #plane: DataPlane | undefined;
  #end = new AbortController();

  private constructor(folder: string, ca: TestCa, gateway: GatewayCredentials, stack: AsyncDisposableStack) {
    this.folder = folder;
    this.ca = ca;
    this.gateway = gateway;
    this.#stack = stack;
  }

  /** @param root folder to make it in. */
  static async make(root = tmpdir()): Promise<PlaneBench> {
    const ca = await testCa();
    const { certificate, key } = await ca.leaf('eu.gateway.headgate');
    const stack = new AsyncDisposableStack();
    // Short, since HAProxy's UNIX sockets lie below it.
    const folder = await mkdtemp(join(root, 'hg-dp-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    return new PlaneBench(folder, ca, { certificate, privateKey: key, ca: ca.certificate }, stack);
  }

  get plane(): DataPlane {
    if (this.#plane === undefined) throw new Error('no data plane was opened');
    return this.#plane;
  }

  /** Opens a data plane and starts it with these resources, all of which it takes. */
  async start(resources: readonly Resource[], more: Differences = {}): Promise<DataPlane> {
    const plane = await this.open(more);
    const all = new Inventory();
    for (const one of resources) all.set(one);
    taken(await plane.start(all));
    return plane;
  }

  async open(more: Differences = {}): Promise<DataPlane> {
    const { log = silentLog, onRejected, ...options } = more;
    this.#end = new AbortController();
    this.#plane = await openDataPlane(this.#options(options), {
      clock: systemClock,
      log,
      signal: this.#end.signal,
      ...(onRejected === undefined ? {} : { onRejected }),
    });
    return this.#plane;
  }

  /** Lays out the files for a HAProxy that somebody else starts. */
  async render(resources: readonly Resource[]): Promise<void> {
    const all = new Inventory();
    for (const one of resources) all.set(one);
    const rim = { clock: systemClock, log: silentLog, signal: this.#end.signal };
    taken(await renderDataPlane(this.#options({}), rim, all));
  }

  #options(more: Partial<DataPlaneOptions>): DataPlaneOptions {
    return {
      cluster: 'eu',
      node: 'n1',
      folder: this.folder,
      haproxy: haproxyBinary,
      listeners: anyListeners,
      gateway: this.gateway,
      spares: 64,
      ...more,
    };
  }

  /** Ends the agent's part; HAProxy serves on. */
  async leave(): Promise<void> {
    await this.#plane?.[Symbol.asyncDispose]();
  }

  async apply(upserts: readonly Resource[], removals: readonly ResourceKey[] = []): Promise<void> {
    taken(await this.plane.apply({ upserts, removals }));
  }

  /** A real upstream that answers with its name. */
  async upstream(name: string): Promise<TestBackend> {
    return this.#stack.use(await testBackend(name));
  }

  get http(): number {
    return portOf(this.plane.status().http);
  }

  async get(name: string, path = '/'): Promise<Answer> {
    return await fetchAnswer({ port: this.http, path, headers: { host: name } });
  }

  /** One command to the worker's own socket. */
  async cli(text: string): Promise<string> {
    const socket = connect(join(this.folder, sockets.worker));
    socket.end(`${text}\n`);
    let reply = '';
    for await (const chunk of socket) reply += String(chunk);
    return reply.trim();
  }

  async processes(): Promise<ProcessTable> {
    return await showProcesses(join(this.folder, MASTER_SOCKET));
  }

  async worker(): Promise<number> {
    const { worker } = await this.processes();
    if (worker === undefined) throw new Error('HAProxy has no worker');
    return worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#plane?.stop().catch(() => undefined);
    this.#end.abort();
    await this.#stack.disposeAsync();
  }
}

function taken(verdicts: readonly ResourceVerdict[]): void {
  const refused = verdicts.find(({ programmed }) => !programmed);
  if (refused !== undefined) throw new Error(`refused: ${JSON.stringify(refused)}`);
}

/** Host `<name>.example` served by one service with one endpoint per port. */
export function service(name: string, ports: readonly number[]): Resource[] {
  return [
    backend(`shop/${name}/80`),
    ...ports.map((port, i) => endpoints(`shop/${name}`, port, ['127.0.0.1'], [], `slice${i}`)),
    host(`${name}.example`, [{ path: '/', at: { eu: `shop/${name}/80` } }]),
  ];
}

/** Polls until what is seen is good. @returns it, with the milliseconds that it took. */
export async function until<T>(
  probe: () => Promise<T>,
  good: (seen: T) => boolean,
  patience = 15_000,
): Promise<{ readonly seen: T; readonly ms: number }> {
  const began = performance.now();
  let last: unknown;
  while (performance.now() - began < patience) {
    const seen = await probe().catch((error: unknown) => {
      last = error;
      return undefined;
    });
    if (seen !== undefined && good(seen)) return { seen, ms: performance.now() - began };
    if (seen !== undefined) last = seen;
    await systemClock.sleep(5);
  }
  throw new Error(`still not so after ${patience} ms`, { cause: last });
}

export interface Load extends AsyncDisposable {
  readonly requests: number;
  /** What did not end in 200, in words. */
  readonly failures: readonly string[];
  stop(): Promise<void>;
}

/** Requests on keep-alive connections, one after another on each, until stopped. */
export function keepAliveLoad(port: number, name: string, connections = 4): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const failures: string[] = [];
  const end = new AbortController();
  let requests = 0;
  const send = async (): Promise<void> => {
    while (!end.signal.aborted) {
      requests++;
      try {
        const outgoing = request({ host: '127.0.0.1', port, path: '/', agent, headers: { host: name } });
        outgoing.end();
        const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
        answer.resume();
        await once(answer, 'end');
        if (answer.statusCode !== 200) failures.push(String(answer.statusCode));
      } catch (error) {
        failures.push(String(error));
      }
      await systemClock.sleep(2);
    }
  };
  const senders = Array.from({ length: connections }, send);
  const stop = async (): Promise<void> => {
    end.abort();
    await Promise.all(senders);
    agent.destroy();
  };
  return {
    get requests() {
      return requests;
    },
    failures,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
