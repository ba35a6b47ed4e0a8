import { hash } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { DataPlaneStatus } from './data-plane.ts';
import type { Change, OwnedOp } from './model/change.ts';
import type { Fixed } from './model/desired.ts';
import { files, sockets } from './model/names.ts';
import { profileWords } from './model/profile.ts';
import type { Planner } from './plan/planner.ts';
import { checkFree } from './process/addresses.ts';
import { checkCertificates, checkConfiguration, withoutKeys } from './process/check.ts';
import type { ConfigFiles } from './process/config-files.ts';
import { HaproxyProcess } from './process/process.ts';
import { type HaproxyBuild, hasSlowMaps, takesCas } from './process/probe.ts';
import { formatState, STATE_FILE } from './process/state-file.ts';
import type { HaproxyState } from './process/state-file.ts';
import { MASTER_SOCKET } from './process/stop.ts';
import { reviveServer, setCertificate, setGatewayCa } from './render/commands.ts';
import { renderFile, renderFiles } from './render/files.ts';
import { poolNameOf } from './render/reuse.ts';
import { RuntimeClient } from './runtime/client.ts';
import { compare, gatewayDifference } from './runtime/compare.ts';
import { Executor } from './runtime/executor.ts';
import type { Failure } from './runtime/executor.ts';
import { ejectedTooMany, hasFloor } from './runtime/floor.ts';
import { healthFile, NO_HEALTH } from './runtime/health.ts';
import { observe, observeServers, observeServersOf } from './runtime/observe.ts';
import { followed, tellOldWorkers } from './runtime/old-workers.ts';
import { SlotMetrics } from './runtime/slot-metrics.ts';

export const reloadReasons = [
  'backend-settings',
  'configuration',
  'gateway-ca',
  'many-servers',
  'pool-refill',
  'repair',
] as const satisfies readonly (Change['reload'] | 'configuration' | 'gateway-ca' | 'repair')[];
export type ReloadReason = (typeof reloadReasons)[number];

/** Milliseconds between two reloads for new settings. */
const SETTINGS_APART = 5_000;
/** Milliseconds that a worker gets to answer when it is first talked to. */
const ANSWERS_WITHIN = 5_000;
/** Resources that a log line names. */
const NAMED = 20;

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
  readonly #options: MirrorOptions;
  readonly #client: RuntimeClient;
  readonly #reloads = new Map<string, number>();
  /** Files that differ from what is desired because a write failed. */
  readonly #unwritten = new Set<string>();
  #fixed: Fixed;
  /** A reload that failed: HAProxy lacks what it was for. */
  #owed: { readonly reason: ReloadReason; readonly words: string } | undefined;
  /** The worker that holds what the files hold. */
  #worker: number | undefined;
  #settingsAt = -Infinity;
  #held = false;
  readonly #metrics: SlotMetrics;

  constructor(options: MirrorOptions) {
    const { build, folder, external, clock, log, onEvent } = options;
    this.#options = options;
    this.#fixed = options.fixed;
    this.process = new HaproxyProcess({ build, folder, external, configuration: files.configuration, clock, log });
    this.process.onExit = onEvent;
    this.#metrics = new SlotMetrics(join(folder, sockets.metrics), log);
    this.#client = new RuntimeClient(join(folder, sockets.worker), onEvent);
    this.executor = new Executor(this.#client, clock, options.planner.desired);
  }

  get reloads(): ReadonlyMap<string, number> {
    return this.#reloads;
  }

  get commands(): DataPlaneStatus['commands'] {
    return this.#client.counts;
  }

  /** Whether new settings may have a reload: they share one where they come close together. */
  get mayReload(): boolean {
    return !this.#held && this.#options.clock.now() - this.#settingsAt >= SETTINGS_APART;
  }

  /** Nothing reloads HAProxy from now on. */
  hold(): void {
    this.#held = true;
  }

  get isHeld(): boolean {
    return this.#held;
  }

  /** Whether the worker that is known still has its master. */
  get serves(): boolean {
    return this.#worker !== undefined && this.process.alive();
  }

  /**
   * Whether a worker runs that this mirror has not looked at: somebody else reloaded HAProxy, or started it again, in
   * a container perhaps with the same pids.
   */
  get isStranger(): boolean {
    return this.process.worker !== this.#worker || this.#client.wasClosed;
  }

  /** Why the last reload failed; undefined since one succeeded. */
  get owed(): string | undefined {
    return this.#owed?.words;
  }

  /**
   * Tries again to reload what could not be.
   * @param undone changes that take back what kept it from that
   */
  async settle(undone: readonly Change[] = []): Promise<void> {
    for (const change of undone) await this.#note(change);
    if (this.#owed !== undefined) await this.reload(this.#owed.reason);
  }

  /** Whether files, and then HAProxy, lack a change because a write failed. */
  get isBehind(): boolean {
    return this.#unwritten.size > 0;
  }

  /** Takes over the HAProxy that runs in the folder, or starts one. */
  async open(before: HaproxyState | undefined): Promise<void> {
    const { external, files, folder, log, planner, signal } = this.#options;
    await files.replaceAll(renderFiles(planner.desired, this.#fixed));
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
    if (before?.loaded !== this.#loaded()) await this.reload('configuration');
    else await this.repair();
    await this.saveState();
    this.#options.log.info('haproxy taken over', { pid: this.process.pid });
  }

  /** Lays out the files for a HAProxy that somebody else will start. */
  async lay(): Promise<void> {
    const { files, folder, planner } = this.#options;
    const rendered = renderFiles(planner.desired, this.#fixed);
    await files.replaceAll(rendered);
    await this.#check(rendered);
    // No worker judges them before the one that is to begin with them.
    await checkCertificates(this.process.build.path, folder);
    await this.saveState();
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
    await this.#restoreFiles();
    this.#worker = undefined;
    this.#client.reset();
    this.executor.takeOver([]);
    await this.process.clear();
    await this.#writeHealth(NO_HEALTH);
    await checkFree(this.#fixed.listeners);
    await this.process.start(this.#options.signal);
    await this.#connect();
    await this.saveState();
  }

  /**
   * Puts a new HAProxy, from the files, beside one that hangs or cannot be reached, and ends that: at once where
   * its worker hangs, else when its connections have ended.
   */
  async replace(hangs: boolean): Promise<void> {
    await this.#restoreFiles();
    this.#client.reset();
    this.executor.takeOver([]);
    await this.#writeHealth(NO_HEALTH);
    await this.process.replace(hangs, this.#options.signal);
    await this.#connect();
    await this.saveState();
  }

  /** Writes what changed and runs it. @returns what HAProxy refused, with words. */
  async carryOut(change: Change): Promise<readonly Failure[]> {
    await this.#note(change);
    if (change.reload !== undefined) {
      if (change.reload === 'backend-settings') this.#settingsAt = this.#options.clock.now();
      const { profiles, resources } = change.causes;
      const settings = [...new Set(profiles.map(({ profile }) => profileWords(profile)))];
      await this.reload(change.reload, {
        ...(settings.length === 0 ? {} : { settings: settings.join('; ') }),
        ...(resources.length === 0
          ? {}
          : { for: resources.length, resources: resources.slice(0, NAMED).map(({ type, name }) => `${type}/${name}`) }),
      });
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
    if (change.assignmentsChanged) await this.saveState();
    await this.#metrics.handOver(change);
    await this.#write(change.files);
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
    const shown = withoutKeys(rendered, this.#fixed.defaultCertificate);
    await checkConfiguration(this.process.build.path, this.#options.folder, shown);
  }

  /** A new worker loads the files; whatever was only at runtime is gone with the old one. */
  async reload(reason: ReloadReason, causes: object = {}): Promise<void> {
    if (this.#held) throw new HeadgateError('HG5004', 'HAProxy is about to end and is not reloaded');
    const { clock, log, signal } = this.#options;
    const began = clock.now();
    const { files: written, planner } = this.#options;
    await this.#restoreFiles();
    // What somebody else wrote there must not keep a reload from what is needed.
    const rendered = renderFiles(planner.desired, this.#fixed);
    await written.replaceAll(rendered);
    this.#unwritten.clear();
    try {
      await this.#check(rendered);
      await this.#noteHealth();
      await this.#metrics.across(() => this.process.reload(signal), this.#client);
      this.#owed = undefined;
    } catch (error) {
      this.#owed = { reason, words: HeadgateError.from(error).message };
      throw error;
    } finally {
      // Whoever reloads later, for example by hand, would be told of servers that have long been well.
      await this.#writeHealth(NO_HEALTH);
    }
    this.#reloads.set(reason, (this.#reloads.get(reason) ?? 0) + 1);
    await this.#connect();
    await this.saveState();
    log.info('haproxy reloaded', { reason, ms: Math.round(clock.now() - began), worker: this.#worker, ...causes });
  }

  /** Compares what the worker holds with what it should, and mends it. @returns the number of differences. */
  async repair(): Promise<number> {
    const { planner, log } = this.#options;
    await this.#restoreFiles();
    await this.#write([]);
    if (this.isStranger) await this.#connect();
    const observed = await observe(this.#client);
    this.executor.takeOver(
      [...observed.servers].flatMap(([backend, servers]) =>
        [...servers].filter(([, { maintenance }]) => maintenance).map(([name]) => ({ backend, name })),
      ),
    );
    const { missingBackends, ops } = compare(planner.desired, observed);
    if (missingBackends.length > 0) {
      await this.reload('repair');
      return missingBackends.length;
    }
    const lacking = gatewayDifference(this.#fixed, observed);
    if (lacking.certificate || lacking.ca) await this.#showGateway(lacking.ca);
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
    const withCa = gateway.gatewayCa !== this.#fixed.gatewayCa;
    this.#fixed = { ...this.#fixed, ...gateway };
    await this.#write([files.gatewayCertificate, files.gatewayCa]);
    await this.#showGateway(withCa);
  }

  /** HAProxy's own metrics, by who has which slot. @throws HG5003 */
  async metrics(): Promise<string> {
    return await this.#metrics.text(this.#options.planner.desired.slots);
  }

  async saveState(): Promise<void> {
    const { files: written, planner, log } = this.#options;
    const { http, https, gateway } = this.#fixed.listeners;
    const state = { http, https, gateway, loaded: this.#loaded(), ...planner.assignments() };
    try {
      await written.write([[STATE_FILE, formatState(state)]]);
    } catch (error) {
      // The next agent then decides anew what it could have taken over; traffic is not in need of it.
      log.warn('what HAProxy holds cannot be noted for the next agent', { error });
    }
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

  /** Files come before HAProxy hears of it; what could not be written is tried again with the next. */
  async #write(names: Iterable<string>): Promise<void> {
    const { files, planner } = this.#options;
    for (const name of names) this.#unwritten.add(name);
    await files.write(
      [...this.#unwritten].map((name): [string, string | undefined] => [
        name,
        renderFile(planner.desired, this.#fixed, name),
      ]),
    );
    this.#unwritten.clear();
  }

  /** What lies in memory may be gone while HAProxy runs, for example when its user has logged out. */
  async #restoreFiles(): Promise<void> {
    const { files: written, planner, log } = this.#options;
    if (!(await written.prepare())) return;
    await written.replaceAll(renderFiles(planner.desired, this.#fixed));
    log.warn("the folder with HAProxy's keys was gone and is there again");
  }

  /** A new worker would send requests to servers that this one knows to be dead. */
  async #noteHealth(): Promise<void> {
    try {
      await this.#writeHealth(healthFile(this.#options.planner.desired, await observeServers(this.#client)));
    } catch (error) {
      this.#options.log.warn('a new worker will not know which servers are down', { error });
    }
  }

  async #writeHealth(text: string): Promise<void> {
    await this.#options.files.write([[files.health, text]]).catch((error: unknown) => {
      this.#options.log.warn('the file of servers that are down cannot be written', { error });
    });
  }

  /** Who is trusted comes before what is shown: a gateway that shows a new CA's leaf trusts that CA by then. */
  async #showGateway(withCa: boolean): Promise<void> {
    if (withCa && !takesCas(this.process.version)) {
      await this.reload('gateway-ca');
      return;
    }
    const { gatewayCertificate, gatewayCa } = this.#fixed;
    const refused = (
      await this.#client.send([
        ...(withCa ? setGatewayCa(gatewayCa) : []),
        ...setCertificate(files.gatewayCertificate, gatewayCertificate),
      ])
    ).find(({ ok }) => !ok);
    if (refused !== undefined) {
      throw new HeadgateError('HG5003', `HAProxy refused the gateway's credentials: ${refused.text}`);
    }
  }

  /** Digest of what only a reload can change, but for the pools, which can be asked for. */
  #loaded(): string {
    return hash('sha256', renderFile(this.#options.planner.desired, this.#fixed, files.base) ?? '', 'hex');
  }

  /** Talks to the worker that the master names. */
  async #connect(): Promise<void> {
    const { clock, signal } = this.#options;
    this.#client.reset();
    for (const until = clock.now() + ANSWERS_WITHIN; ;) {
      const table = await this.process.refresh();
      if (await this.process.isServed(table)) {
        this.#worker = table.worker;
        this.executor.slowMaps = hasSlowMaps(this.process.version);
        this.executor.poolName = poolNameOf(this.process.version);
        this.#client.reset();
        this.executor.takeOver([]);
        return;
      }
      if (clock.now() >= until) {
        throw new HeadgateError('HG5004', `HAProxy's worker ${String(table.worker)} does not answer`);
      }
      await clock.sleep(20, signal);
    }
  }
}
