import { join } from 'node:path';
import type { Clock } from '../../../lib/clock.ts';
import type { Log } from '../../../lib/log.ts';
import type { DataPlaneStatus } from '../data-plane.ts';
import { showGateway } from './gateway.ts';
import { MirroredFiles } from './mirrored-files.ts';
import { causeWords, type ReloadReason, Reloads } from './reloads.ts';
import { WorkerLink } from './worker-link.ts';
import type { Change, OwnedOp } from '../model/change.ts';
import type { Fixed } from '../model/desired.ts';
import { files, sockets } from '../model/names.ts';
import type { Planner } from '../plan/planner.ts';
import { checkFree } from '../process/addresses.ts';
import { checkCertificates, checkConfiguration, withoutKeys } from '../process/check.ts';
import type { ConfigFiles } from '../process/config-files.ts';
import { HaproxyProcess } from '../process/process.ts';
import { type HaproxyBuild, hasSlowMaps, takesCas } from '../process/probe.ts';
import type { HaproxyState } from '../process/state-file.ts';
import { MASTER_SOCKET } from '../process/stop.ts';
import { reviveServer } from '../render/commands.ts';
import { poolNameOf } from '../render/reuse.ts';
import { RuntimeClient } from '../runtime/client.ts';
import { compare, gatewayDifference } from '../runtime/compare.ts';
import { Executor } from '../runtime/executor.ts';
import type { Failure } from '../runtime/executor.ts';
import { ejectedTooMany, hasFloor } from '../runtime/floor.ts';
import { healthFile, NO_HEALTH } from '../runtime/health.ts';
import { observe, observeServers, observeServersOf } from '../runtime/observe.ts';
import { followed, tellOldWorkers } from '../runtime/old-workers.ts';
import { SlotMetrics } from '../runtime/slot-metrics.ts';

export interface MirrorOptions {
  readonly build: HaproxyBuild;
  readonly folder: string;
  /** Somebody else starts HAProxy and ends it. */
  readonly external: boolean;
  readonly files: ConfigFiles;
  readonly planner: Planner;
  readonly fixed: Fixed;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends waiting; HAProxy serves on. */
  readonly signal: AbortSignal;
  /** Something happened to HAProxy that is worth a look. */
  readonly onEvent: () => void;
}

/**
 * Makes one HAProxy hold what the planner desires: files first, then the same by runtime commands. Its methods
 * are called one after another, never at once.
 */
export class Mirror {
  readonly process: HaproxyProcess;
  readonly executor: Executor;
  readonly reloads: Reloads;
  readonly #options: MirrorOptions;
  readonly #client: RuntimeClient;
  readonly #files: MirroredFiles;
  readonly #link: WorkerLink;
  readonly #metrics: SlotMetrics;

  constructor(options: MirrorOptions) {
    const { build, folder, external, clock, log, onEvent } = options;
    this.#options = options;
    this.reloads = new Reloads(clock);
    this.#files = new MirroredFiles(options);
    this.process = new HaproxyProcess({ build, folder, external, configuration: files.configuration, clock, log });
    this.process.onExit = onEvent;
    this.#metrics = new SlotMetrics(join(folder, sockets.metrics), log);
    this.#client = new RuntimeClient(join(folder, sockets.worker), onEvent);
    this.#link = new WorkerLink({ process: this.process, client: this.#client, clock, signal: options.signal });
    this.executor = new Executor(this.#client, clock, options.planner.desired);
  }

  get commands(): DataPlaneStatus['commands'] {
    return this.#client.counts;
  }

  /** Whether the worker that is known still has its master. */
  get serves(): boolean {
    return this.#link.serves;
  }

  /**
   * Whether a worker runs that this mirror has not looked at: somebody else reloaded HAProxy, or started it again, in
   * a container perhaps with the same pids.
   */
  get isStranger(): boolean {
    return this.#link.isStranger;
  }

  /**
   * Tries again to reload what could not be.
   * @param undone changes that take back what kept it from that
   */
  async settle(undone: readonly Change[] = []): Promise<void> {
    for (const change of undone) await this.#note(change);
    const { failed } = this.reloads;
    if (failed !== undefined) await this.reload(failed);
  }

  /** Whether files, and then HAProxy, lack a change because a write failed. */
  get isBehind(): boolean {
    return this.#files.areBehind;
  }

  /** Takes over the HAProxy that runs in the folder, or starts one. */
  async open(before: HaproxyState | undefined): Promise<void> {
    const { external, folder, log, planner, signal } = this.#options;
    await this.#files.replaceAll();
    this.#metrics.begin(planner.desired.slots);
    const found = await this.process.adopt(signal);
    if (found === 'silent') {
      await this.replace(false);
      return;
    }
    if (found === 'none') {
      if (!external) {
        await this.start();
        return;
      }
      log.info('waiting for haproxy to be started', { folder });
      await this.process.start(signal);
    }
    try {
      await this.#takeOver(before);
    } catch (error) {
      if (external || signal.aborted || (await this.process.answers())) throw error;
      log.warn('haproxy fell silent and is replaced', { error });
      await this.replace(true);
    }
  }

  async #takeOver(before: HaproxyState | undefined): Promise<void> {
    await this.#connect();
    await this.#metrics.leaveBehind();
    if (before?.loaded !== this.#files.loaded) await this.reload('configuration');
    else await this.repair();
    await this.#files.saveState();
    this.#options.log.info('haproxy taken over', { pid: this.process.pid });
  }

  /** Lays out the files for a HAProxy that somebody else will start. */
  async lay(): Promise<void> {
    await this.#check(await this.#files.replaceAll());
    // No worker judges them before the one that is to begin with them.
    await checkCertificates(this.process.build.path, this.#options.folder);
    await this.#files.saveState();
  }

  /** Takes over an external HAProxy that was started again, from the files. @returns whether there is one. */
  async resume(): Promise<boolean> {
    if ((await this.process.adopt(this.#options.signal)) !== 'taken over') return false;
    await this.#connect();
    await this.repair();
    return true;
  }

  /** Starts HAProxy from the files, after whatever is left of one that died. */
  async start(): Promise<void> {
    await this.#files.restore();
    this.#link.forget();
    this.#client.reset();
    this.executor.takeOver([]);
    await this.process.clear();
    await this.#files.writeHealth(NO_HEALTH);
    await checkFree(this.#files.fixed.listeners);
    await this.process.start(this.#options.signal);
    await this.#connect();
    await this.#files.saveState();
  }

  /**
   * Puts a new HAProxy, from the files, beside one that hangs or cannot be reached, and ends that: at once where
   * its worker hangs, else when its connections have ended.
   */
  async replace(hangs: boolean): Promise<void> {
    await this.#files.restore();
    this.#client.reset();
    this.executor.takeOver([]);
    await this.#files.writeHealth(NO_HEALTH);
    await this.process.replace(hangs, this.#options.signal);
    await this.#connect();
    await this.#files.saveState();
  }

  /** Writes what changed and runs it. @returns what HAProxy refused, with words. */
  async carryOut(change: Change): Promise<readonly Failure[]> {
    await this.#note(change);
    if (change.reload !== undefined) {
      if (change.reload === 'backend-settings') this.reloads.noteSettings();
      await this.reload(change.reload, causeWords(change.causes));
      await this.#tellOld(change.ops);
      return [];
    }
    if (change.ops.length === 0) return [];
    const failures = await this.executor.run(change.ops);
    await this.#tellOld(change.ops);
    if (failures.length === 0) return [];
    await this.process.refresh();
    if (!this.isStranger) return failures;
    // Somebody reloaded meanwhile: it was a worker on its way out that refused. The new one has read the files.
    await this.repair();
    return [];
  }

  /** Files come before HAProxy hears of it. */
  async #note(change: Change): Promise<void> {
    if (change.assignmentsChanged) await this.#files.saveState();
    await this.#metrics.handOver(change);
    await this.#files.write(change.files);
  }

  /** Who may do what counts for connections on old workers, too. */
  async #tellOld(ops: Change['ops']): Promise<void> {
    const commands = followed(ops);
    if (commands.length === 0) return;
    // Nobody reaches those any more.
    this.process.endReplaced(true);
    try {
      const { oldWorkers } = await this.process.refresh();
      await tellOldWorkers(join(this.#options.folder, MASTER_SOCKET), oldWorkers, commands);
    } catch (error) {
      this.#options.log.warn('old workers were not told who may do what', { error });
    }
  }

  async #check(rendered: ReadonlyMap<string, string>): Promise<void> {
    await this.process.probe();
    const shown = withoutKeys(rendered, this.#files.fixed.defaultCertificate);
    await checkConfiguration(this.process.build.path, this.#options.folder, shown);
  }

  /** A new worker loads the files; whatever was only at runtime is gone with the old one. */
  async reload(reason: ReloadReason, causes: object = {}): Promise<void> {
    this.reloads.assertFree();
    const { clock, log, signal } = this.#options;
    const began = clock.now();
    await this.#files.restore();
    // What somebody else wrote there must not keep a reload from what is needed.
    const rendered = await this.#files.replaceAll();
    await this.reloads.count(reason, async () => {
      try {
        await this.#check(rendered);
        await this.#noteHealth();
        await this.#metrics.across(() => this.process.reload(signal), this.#client);
      } finally {
        // Whoever reloads later, for example by hand, would be told of servers that have long been well.
        await this.#files.writeHealth(NO_HEALTH);
      }
    });
    await this.#connect();
    await this.#files.saveState();
    log.info('haproxy reloaded', { reason, ms: Math.round(clock.now() - began), worker: this.#link.worker, ...causes });
  }

  /** Compares what the worker holds with what it should, and mends it. @returns the number of differences. */
  async repair(): Promise<number> {
    const { planner, log } = this.#options;
    await this.#files.restore();
    await this.#files.write([]);
    if (this.isStranger) await this.#connect();
    const observed = await observe(this.#client);
    this.executor.takeOver(
      [...observed.servers].flatMap(([backend, servers]) =>
        [...servers].filter(([, { maintenance }]) => maintenance).map(([name]) => ({ backend, name })),
      ),
    );
    const { missingBackends, ops } = compare(planner.desired, observed);
    const lacking = gatewayDifference(this.#files.fixed, observed);
    if (missingBackends.length > 0 || (lacking.ca && !this.#takesCas)) {
      await this.reload(missingBackends.length > 0 ? 'repair' : 'gateway-ca');
      return missingBackends.length + ops.length;
    }
    if (lacking.certificate || lacking.ca) await showGateway(this.#client, this.#files.fixed, lacking.ca);
    if (ops.length === 0) return 0;
    const failures = await this.executor.run(ops.map((op): OwnedOp => ({ op, resource: undefined })));
    log.warn('haproxy differed from intent', {
      mended: ops.length,
      first: ops[0]?.kind,
      refused: failures.slice(0, 5).map(({ command, words }) => `${command}: ${words}`),
    });
    return ops.length;
  }

  /** Whether any slot's servers have to be looked at by `holdFloors`. */
  get hasFloors(): boolean {
    return this.#options.planner.desired.slots.some(hasFloor);
  }

  /** Brings servers back that outliers took out beyond what their settings allow. */
  async holdFloors(): Promise<void> {
    const slots = this.#options.planner.desired.slots.filter(hasFloor);
    const names = slots.map(({ name }) => name);
    const back = ejectedTooMany(slots, await observeServersOf(this.#client, names));
    await this.#client.send(back.map(({ backend, name }) => reviveServer(backend, name)));
  }

  async setGateway(gateway: Pick<Fixed, 'gatewayCertificate' | 'gatewayCa'>): Promise<void> {
    const withCa = await this.#files.writeGateway(gateway);
    if (withCa && !this.#takesCas) await this.reload('gateway-ca');
    else await showGateway(this.#client, this.#files.fixed, withCa);
  }

  /** HAProxy's own metrics, by who has which slot. @throws HG5003 */
  async metrics(): Promise<string> {
    return await this.#metrics.text(this.#options.planner.desired.slots);
  }

  /** Looks after workers that a reload replaced. */
  tendLeaving(): void {
    this.#metrics.tend();
  }

  close(): void {
    this.#client.reset();
  }

  /** HAProxy serves on without anybody to talk to. */
  leave(): void {
    this.close();
    this.#metrics.close();
  }

  /** A new worker would send requests to servers that this one knows to be dead. */
  async #noteHealth(): Promise<void> {
    try {
      await this.#files.writeHealth(healthFile(this.#options.planner.desired, await observeServers(this.#client)));
    } catch (error) {
      this.#options.log.warn('a new worker will not know which servers are down', { error });
    }
  }

  get #takesCas(): boolean {
    return takesCas(this.process.version);
  }

  /** Talks to the worker that the master names. */
  async #connect(): Promise<void> {
    await this.#link.connect();
    this.executor.slowMaps = hasSlowMaps(this.process.version);
    this.executor.poolName = poolNameOf(this.process.version);
    this.executor.takeOver([]);
  }
}
