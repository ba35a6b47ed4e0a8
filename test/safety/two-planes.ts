import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataPlane } from '../../agent/haproxy/data-plane.ts';
import { openDataPlane } from '../../agent/haproxy/haproxy-data-plane.ts';
import { askMaster, showProcesses } from '../../agent/haproxy/process/master.ts';
import { MASTER_SOCKET } from '../../agent/haproxy/process/stop.ts';
import { type TestCa, testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { anyListeners } from '../../agent/haproxy/testing/plane.fixture.ts';
import { haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { Inventory, type Resource, type ResourceKey } from '../../lib/sync/index.ts';

type Cluster = 'eu' | 'us';

/** The data planes of two clusters of one fleet, each with its own real HAProxy. */
export class TwoPlanes implements AsyncDisposable {
  readonly ca: TestCa;
  readonly #planes = new Map<Cluster, { readonly plane: DataPlane; readonly folder: string }>();
  readonly #stack = new AsyncDisposableStack();

  private constructor(ca: TestCa) {
    this.ca = ca;
  }

  static async open(spares = 64): Promise<TwoPlanes> {
    const two = new TwoPlanes(await testCa());
    for (const cluster of ['eu', 'us'] as const) await two.#open(cluster, spares);
    return two;
  }

  plane(cluster: Cluster): DataPlane {
    return this.#of(cluster).plane;
  }

  port(cluster: Cluster, listener: 'http' | 'https' | 'gateway'): number {
    const address = this.plane(cluster).status()[listener];
    return Number(address.slice(address.lastIndexOf(':') + 1));
  }

  /** @throws Error where anything is refused. */
  async apply(cluster: Cluster, upserts: readonly Resource[], removals: readonly ResourceKey[] = []): Promise<void> {
    const verdicts = await this.plane(cluster).apply({ upserts, removals });
    const refused = verdicts.find(({ programmed }) => !programmed);
    if (refused !== undefined) throw new Error(`refused: ${JSON.stringify(refused)}`);
  }

  async worker(cluster: Cluster): Promise<number> {
    const { worker } = await showProcesses(join(this.#of(cluster).folder, MASTER_SOCKET));
    if (worker === undefined) throw new Error('HAProxy has no worker');
    return worker;
  }

  /** Somebody else's reload. Resolves when a new worker serves. */
  async forceReload(cluster: Cluster): Promise<void> {
    const master = join(this.#of(cluster).folder, MASTER_SOCKET);
    const { worker } = await showProcesses(master);
    // 3.x answers when it is done; 2.6 says nothing, and the socket may go with the old process.
    await askMaster(master, 'reload').catch(() => '');
    for (;;) {
      const now = await showProcesses(master).catch(() => undefined);
      if (now?.worker !== undefined && now.worker !== worker) return;
      await systemClock.sleep(10);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  #of(cluster: Cluster) {
    const found = this.#planes.get(cluster);
    if (found === undefined) throw new Error(`no plane ${cluster}`);
    return found;
  }

  async #open(cluster: Cluster, spares: number): Promise<void> {
    // Short, since HAProxy's UNIX sockets lie below it.
    const folder = await mkdtemp(join(tmpdir(), 'hg-tp-'));
    this.#stack.defer(() => rm(folder, { recursive: true, force: true }));
    const { certificate, key } = await this.ca.leaf(`${cluster}.gateway.headgate`);
    const plane = await openDataPlane(
      {
        cluster,
        node: 'n1',
        folder,
        haproxy: haproxyBinary,
        listeners: anyListeners,
        gateway: { certificate, privateKey: key, ca: this.ca.certificate },
        spares,
      },
      { clock: systemClock, log: silentLog, signal: new AbortController().signal },
    );
    this.#stack.defer(() => plane.stop());
    await plane.start(new Inventory());
    this.#planes.set(cluster, { plane, folder });
  }
}
