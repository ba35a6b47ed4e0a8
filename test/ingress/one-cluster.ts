import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { showProcesses } from '../../agent/haproxy/process/master.ts';
import { MASTER_SOCKET } from '../../agent/haproxy/process/stop.ts';
import { ProcessFleet } from '../../cli/demo/process-fleet.ts';
import { until } from '../../cli/demo/processes.ts';
import { type Answer, type Ask, Http1 } from './clients.ts';
import type { KubeObject } from './objects.ts';
import { type Pod, startPod } from './pods.ts';

/** How long a change may take until a client sees it: far more than it does, for a machine under load. */
const PATIENCE_MS = 10_000;
/** Another HAProxy than the distribution's. */
const HAPROXY = process.env['HEADGATE_TEST_HAPROXY'];

/** A hub, one agent on a folder of manifests, its HAProxy, and pods: all real, on loopback. */
export class OneCluster implements AsyncDisposable {
  readonly fleet: ProcessFleet;
  readonly http: number;
  readonly https: number;
  readonly client: Http1;
  readonly #pods: Map<string, Pod>;
  readonly #cleanup: AsyncDisposableStack;

  private constructor(fleet: ProcessFleet, pods: Map<string, Pod>, cleanup: AsyncDisposableStack) {
    this.fleet = fleet;
    this.#pods = pods;
    this.#cleanup = cleanup;
    const { http, https } = fleet.cluster('eu');
    this.http = portOf(http);
    this.https = portOf(https);
    this.client = new Http1(this.http);
  }

  /** @param files manifests by file name, there before the agent starts; `pods` to start, by name. */
  static async start(
    pods: readonly string[],
    files: (pod: (name: string) => Pod) => Readonly<Record<string, readonly KubeObject[]>>,
    flags: readonly string[] = [],
  ): Promise<OneCluster> {
    await using cleanup = new AsyncDisposableStack();
    // Short, since HAProxy's UNIX sockets lie below it.
    const data = mkdtempSync(join(tmpdir(), 'hg-'));
    cleanup.defer(() => rmSync(data, { recursive: true, force: true }));
    const started = new Map<string, Pod>();
    cleanup.defer(async () => void (await Promise.all([...started.values()].map(async (pod) => await pod.kill()))));
    for (const pod of await Promise.all(pods.map(async (name) => await startPod(name)))) started.set(pod.name, pod);
    const fleet = cleanup.use(await ProcessFleet.start(data));
    for (const [file, objects] of Object.entries(files((name) => find(started, name)))) {
      fleet.folder('eu').write(`${file}.yaml`, textOf(objects));
    }
    await fleet.addCluster('eu', [...flags, ...(HAPROXY === undefined ? [] : ['--haproxy', HAPROXY])]);
    return new OneCluster(fleet, started, cleanup.move());
  }

  pod(name: string): Pod {
    return find(this.#pods, name);
  }

  async addPod(name: string, address?: '::1'): Promise<Pod> {
    const pod = await startPod(name, address);
    this.#pods.set(name, pod);
    return pod;
  }

  /** Replaces a file of manifests; without objects it goes. */
  write(file: string, ...objects: readonly KubeObject[]): void {
    const { folder } = this.fleet.cluster('eu');
    if (objects.length === 0) folder.remove(`${file}.yaml`);
    else folder.write(`${file}.yaml`, textOf(objects));
  }

  async get(host: string, path = '/', ask: Partial<Ask> = {}): Promise<Answer> {
    return await this.client.ask({ host, path, ...ask });
  }

  /** Who serves it: the pod's name, or the status where none does. */
  async who(host: string, path = '/'): Promise<string | number> {
    const { status, echo } = await this.get(host, path);
    return echo?.pod ?? status;
  }

  /** Asks until it is served so. */
  async serves(host: string, path: string, expected: string | number): Promise<void> {
    let last: unknown;
    const check = async (): Promise<boolean> => (last = await this.who(host, path)) === expected;
    if ((await until(check, PATIENCE_MS, 5)) !== undefined) return;
    throw new Error(`${host}${path} is served by ${String(last)}, not by ${expected}`);
  }

  /** Problems and conflicts of objects, as `headgate get events` has them. */
  async events(): Promise<readonly Event[]> {
    return (JSON.parse(await this.fleet.must(['get', 'events', '-A', '-o', 'json'])) as { items: Event[] }).items;
  }

  /** Reloads of HAProxy since its master started. */
  async reloads(): Promise<number> {
    return (await showProcesses(join(this.fleet.cluster('eu').data, 'haproxy', MASTER_SOCKET))).reloads;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.#cleanup.disposeAsync();
  }
}

export interface Event {
  readonly code: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly message: string;
}

/** Polls until `check` holds. */
export async function eventually(what: string, check: () => Promise<boolean>, patience = PATIENCE_MS): Promise<void> {
  if ((await until(check, patience, 5)) === undefined) throw new Error(`in vain: ${what}`);
}

function find(pods: ReadonlyMap<string, Pod>, name: string): Pod {
  const pod = pods.get(name);
  if (pod === undefined) throw new Error(`no pod ${name}`);
  return pod;
}

/** JSON documents are YAML documents. */
function textOf(objects: readonly KubeObject[]): string {
  return objects.map((object) => `${JSON.stringify(object)}\n`).join('---\n');
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
