import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../../lib/clock.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import type { Log } from '../../../lib/log.ts';
import { hasCode } from '../../ledger/disk-error.ts';
import { sockets } from '../model/names.ts';
import { askMaster, askOnce, showProcesses } from './master.ts';
import type { ProcessTable } from './master.ts';
import { type HaproxyBuild, probeHaproxy } from './probe.ts';
import { elsewhere, findNoted, isAlive, isOf, MASTER_SOCKET, PID_FILE, sendSignal, stopHaproxy } from './stop.ts';
import { alerts, startError } from './words.ts';

export interface ProcessOptions {
  readonly build: HaproxyBuild;
  /** HAProxy's working directory: the configuration names everything relative to it. */
  readonly folder: string;
  /** What `-f` is given, relative to the folder. */
  readonly configuration: string;
  /**
   * Somebody else starts and ends HAProxy, for example the container beside this one: its pids mean nothing here and
   * all that can be done to it is done through its sockets.
   */
  readonly external: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** Longest a start or a reload may take; 10,000 certificates on 2.6 take 11 s. Milliseconds. */
const START_TIMEOUT = 60_000;
/** Milliseconds; as long as a reload leaves old workers. */
const END_REPLACED_AFTER = 600_000;
const LOG_LIMIT = 8 << 20;
/** How long an agent that starts waits for one that runs, in milliseconds. */
const MASTER_SILENT = 8_000;
const WORKER_SILENT = 3_000;
/** The same where the master's socket is gone. One that reloads keeps it, though on 2.6 it does not listen meanwhile. */
const MASTER_GONE = 1_000;

const LOG_FILE = 'haproxy.log';

/**
 * The HAProxy of one folder: a master that outlives this process, and its worker. Nothing here ends it but
 * `stop`, and that not where it is external.
 */
export class HaproxyProcess {
  readonly #options: ProcessOptions;
  readonly #master: string;
  #table: ProcessTable | undefined;
  #build: HaproxyBuild;
  #version: string;
  /** When workers were first seen among the old, by pid. */
  #oldSince = new Map<number, number>();
  /** While HAProxy starts or reloads it may be silent. */
  #busy = false;
  /** Replaced by another; they serve what they have. */
  #replaced: readonly { readonly table: ProcessTable; readonly until: number }[] = [];
  #onExit: () => void = () => {};

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.#build = options.build;
    this.#version = options.build.version;
    this.#master = join(options.folder, MASTER_SOCKET);
  }

  /** Called when a master that this process started ends. */
  set onExit(listener: () => void) {
    this.#onExit = listener;
  }

  /** What the next start or reload runs, when it was last asked. */
  get build(): HaproxyBuild {
    return this.#build;
  }

  /**
   * Asks the binary anew what it is: an upgrade may have put another in its place, which a reload would run, too.
   *
   * @throws HG5001 where it cannot be used
   */
  async probe(): Promise<void> {
    const before = this.#build;
    this.#build = await probeHaproxy(before.path);
    const { path, version } = this.#build;
    if (version !== before.version)
      this.#options.log.info('haproxy was replaced', { path, before: before.version, version });
  }

  /** As the worker calls itself: it may be older than the binary, or another container's. */
  get version(): string {
    return this.#version;
  }

  /** The master's pid. */
  get pid(): number | undefined {
    return this.#table?.master;
  }

  get worker(): number | undefined {
    return this.#table?.worker;
  }

  /** Workers that a reload replaced, as last seen. */
  get oldWorkers(): { readonly count: number; readonly oldestMs: number } {
    const since = [...this.#oldSince.values()];
    return { count: since.length, oldestMs: since.length === 0 ? 0 : this.#options.clock.now() - Math.min(...since) };
  }

  /** Master and worker while they run and nothing is being done to them. */
  get settled(): { readonly master: number; readonly worker: number | undefined } | undefined {
    return this.#busy || this.#table === undefined || !this.alive() ? undefined : this.#table;
  }

  /** Whether the master that was started or adopted still runs. */
  alive(): boolean {
    return this.pid !== undefined && (this.#options.external || isAlive(this.pid));
  }

  get external(): boolean {
    return this.#options.external;
  }

  /**
   * Takes over the HAProxy that runs in this folder. A master is silent while it loads a configuration, for example
   * when somebody has just asked for a reload: it is waited for, while its worker serves.
   *
   * @returns `silent` where there is one whose worker serves and whose master does not answer, `none` where there is
   *   none that serves; what is left of it is for `clear`.
   * @throws HG5004 where the one that answers is not this process's to end, though it ought to be.
   */
  async adopt(signal: AbortSignal): Promise<'taken over' | 'silent' | 'none'> {
    const { clock, external, folder } = this.#options;
    const found = await showProcesses(this.#master).catch(() => undefined);
    if (found !== undefined && !external && !isOf(found.master, folder)) throw elsewhere(folder);
    if (external || found?.worker !== undefined) this.#table = found;
    if (found?.worker !== undefined) return 'taken over';
    if (external) return 'none';
    this.#table = await findNoted(folder);
    if (this.#table === undefined) return 'none';
    // Perhaps somebody stopped it.
    for (const pid of processesOf(this.#table)) sendSignal(pid, 'SIGCONT');
    const began = clock.now();
    let [served, patience] = [began, MASTER_SILENT];
    while (clock.now() - began < patience && this.alive()) {
      try {
        if ((await this.refresh()).worker !== undefined) return 'taken over';
        patience = MASTER_SILENT;
      } catch (error) {
        patience = failedWith(error, 'ENOENT')
          ? MASTER_GONE
          : failedWith(error, 'ECONNREFUSED')
            ? START_TIMEOUT
            : MASTER_SILENT;
      }
      if (await this.answers()) served = clock.now();
      else if (clock.now() - served > WORKER_SILENT) return 'none';
      await clock.sleep(20, signal);
    }
    return this.alive() && (await this.answers()) ? 'silent' : 'none';
  }

  /** Reads the table of processes anew. @throws HG5004 where the master does not answer, or runs elsewhere. */
  async refresh(): Promise<ProcessTable> {
    const { external, folder } = this.#options;
    try {
      const table = await showProcesses(this.#master);
      if (!external && !isOf(table.master, folder)) throw elsewhere(folder);
      this.#table = table;
      const now = this.#options.clock.now();
      this.#oldSince = new Map(table.oldWorkers.map((pid) => [pid, this.#oldSince.get(pid) ?? now]));
      return table;
    } catch (error) {
      // Nobody listens: it has ended. One that is silent may be back.
      if (external && failedWith(error, 'ENOENT', 'ECONNREFUSED')) this.#table = undefined;
      throw error;
    }
  }

  /**
   * Starts a master, or waits for the one that somebody else starts, and for its worker.
   *
   * @throws HG2002 where an address is taken, HG5002 where the configuration is refused, HG5004 otherwise.
   */
  async start(signal: AbortSignal): Promise<void> {
    this.#busy = true;
    try {
      if (this.external)
        await this.#await(
          signal,
          (table) => this.isServed(table),
          () => false,
        );
      else await this.#start(signal);
    } finally {
      this.#busy = false;
    }
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { folder, configuration, log } = this.#options;
    await this.probe();
    await rm(this.#master, { force: true });
    const logFile = await open(join(folder, LOG_FILE), 'a', 0o600);
    const from = (await logFile.stat()).size;
    let ended = false;
    let child: ChildProcess | undefined;
    try {
      child = spawn(this.#build.path, ['-W', '-S', `unix@${MASTER_SOCKET},mode,600`, '-f', configuration], {
        cwd: folder,
        // Nothing for a configuration to read, and nothing of ours in /proc/<pid>/environ.
        env: {},
        // A session of its own: signals to the agent's group do not reach it.
        detached: true,
        stdio: ['ignore', logFile.fd, logFile.fd],
      });
      child.once('error', () => (ended = true));
      child.once('exit', () => {
        ended = true;
        this.#onExit();
      });
      child.unref();
      await this.#await(
        signal,
        (table) => this.isServed(table),
        () => ended,
      );
      try {
        await writeFile(join(folder, PID_FILE), `${String(this.pid)}\n`, { mode: 0o600 });
      } catch (error) {
        log.warn("HAProxy's pid cannot be noted", { error });
      }
      log.info('haproxy started', { pid: this.pid, version: this.#version });
    } catch (error) {
      // Half a start is none: its worker ends with it.
      child?.kill('SIGKILL');
      this.#table = undefined;
      if (signal.aborted) throw error;
      throw startError(alerts(await this.#logSince(from)), error);
    } finally {
      await logFile.close();
    }
  }

  /**
   * Has a new worker load the files and take over the listeners. The old one serves on where that fails.
   *
   * @throws HG5002 with HAProxy's words.
   */
  async reload(signal: AbortSignal): Promise<void> {
    this.#busy = true;
    try {
      await this.#reload(signal);
    } finally {
      this.#busy = false;
    }
  }

  /**
   * Starts another HAProxy on the same addresses and then ends this one: at once where its worker hangs, else once
   * its connections have ended. Where the start fails this one stays as it is.
   */
  async replace(hangs: boolean, signal: AbortSignal): Promise<void> {
    const old = this.#table;
    try {
      await this.start(signal);
    } catch (error) {
      this.#table = old;
      throw error;
    }
    if (old === undefined) return;
    if (hangs && old.worker !== undefined) sendSignal(old.worker, 'SIGKILL');
    for (const pid of processesOf(old)) sendSignal(pid, 'SIGUSR1');
    const until = this.#options.clock.now() + (hangs ? 0 : END_REPLACED_AFTER);
    this.#replaced = [...this.#replaced, { table: old, until }];
    this.endReplaced();
    // Until it is gone it gets its part of the new connections, and resets them.
    if (hangs) while (processesOf(old).some(isAlive)) await this.#options.clock.sleep(5, signal);
  }

  /** Ends what was replaced and has no connections any more, or has had its time. @param all whatever it still has */
  endReplaced(all = false): void {
    const now = this.#options.clock.now();
    this.#replaced = this.#replaced.filter(({ table, until }) => {
      // A worker ends when its master does, so a master that hangs is ended after its workers.
      const [master, ...workers] = processesOf(table);
      if (!all && now < until && workers.some(isAlive)) return true;
      for (const pid of [...workers, master]) if (pid !== undefined) sendSignal(pid, 'SIGKILL');
      return false;
    });
  }

  /** What HAProxy said last, on one line. */
  async lastWords(): Promise<string> {
    if (this.external) return 'who runs it has its log';
    const words = alerts(await this.#logSince(Math.max(0, (await this.#logSize()) - 4_096)), 2);
    return words === '' ? 'it left no word' : words;
  }

  async #reload(signal: AbortSignal): Promise<void> {
    const from = await this.#logSize();
    const before = await this.refresh();
    // 2.6 answers at once and empty, and its table tells how it went; 3.x answers when it knows.
    const reply = await askMaster(this.#master, 'reload', START_TIMEOUT);
    if (reply.startsWith('Success=0')) {
      throw new HeadgateError('HG5002', `HAProxy's reload failed: ${alerts(reply)}`);
    }
    let failed = false;
    await this.#await(
      signal,
      (table) => table.worker !== undefined && table.worker !== before.worker,
      (table) => (failed = table !== undefined && table.failed > before.failed),
    ).catch(async (error: unknown) => {
      const words = failed ? alerts(await this.#logSince(from)) : String(error);
      throw new HeadgateError('HG5002', `HAProxy's reload failed: ${words}`, { cause: error });
    });
  }

  /** Lets connections end for `grace` milliseconds, then ends them. */
  async stop(grace: number): Promise<void> {
    const { clock, folder } = this.#options;
    if (this.external) return;
    for (const { table } of this.#replaced) for (const pid of processesOf(table)) sendSignal(pid, 'SIGKILL');
    this.#replaced = [];
    await stopHaproxy(folder, grace, clock, this.#table);
    this.#table = undefined;
  }

  /** Ends what a crash may have left, so that a new start finds its addresses free. */
  async clear(): Promise<void> {
    const { clock } = this.#options;
    const table = this.#table;
    this.#table = undefined;
    if (table === undefined || this.external) return;
    const left = processesOf(table);
    for (const pid of left) sendSignal(pid, 'SIGKILL');
    while (left.some(isAlive)) await clock.sleep(5);
  }

  /** HAProxy appends; a log that outgrew its limit is emptied. */
  async trimLog(): Promise<void> {
    if ((await this.#logSize()) > LOG_LIMIT) await truncate(join(this.#options.folder, LOG_FILE));
  }

  async #await(
    signal: AbortSignal,
    done: (table: ProcessTable) => boolean | Promise<boolean>,
    failed: (table: ProcessTable | undefined) => boolean,
  ): Promise<void> {
    const { clock } = this.#options;
    for (const until = clock.now() + START_TIMEOUT; clock.now() < until;) {
      // The master's socket resets connections while it starts or executes itself anew.
      const table = await this.refresh().catch(() => undefined);
      if (table !== undefined && (await done(table))) return;
      if (failed(table)) break;
      await clock.sleep(5, signal);
    }
    throw new HeadgateError('HG5004', this.external ? 'nobody has started HAProxy' : 'HAProxy has no worker');
  }

  /**
   * Whether the master's worker answers. 3.x lists one that still reads its configuration and may yet refuse it, and for
   * a moment after a reload the old one may still answer.
   */
  async isServed({ worker }: ProcessTable): Promise<boolean> {
    return worker !== undefined && (await this.#whoServes()) === worker;
  }

  /** Whether master and worker answer on the sockets in the folder. */
  async isReachable(): Promise<boolean> {
    return await this.refresh().then(
      (table) => this.isServed(table),
      () => false,
    );
  }

  /** Whether any worker answers, the master's or not. */
  async answers(): Promise<boolean> {
    return (await this.#whoServes()) !== undefined;
  }

  /** @returns the pid of the worker that answers. */
  async #whoServes(): Promise<number | undefined> {
    const reply = await askOnce(join(this.#options.folder, sockets.worker), 'show info', 500).catch(() => '');
    const pid = /^Pid: (\d+)$/m.exec(reply)?.[1];
    this.#version = /^Version: (\S+)$/m.exec(reply)?.[1] ?? this.#version;
    return pid === undefined ? undefined : Number(pid);
  }

  async #logSize(): Promise<number> {
    return (await stat(join(this.#options.folder, LOG_FILE)).catch(() => undefined))?.size ?? 0;
  }

  async #logSince(from: number): Promise<string> {
    const log = await readFile(join(this.#options.folder, LOG_FILE)).catch(() => Buffer.alloc(0));
    return log.subarray(from).toString();
  }
}

function processesOf({ master, worker, oldWorkers }: ProcessTable): readonly number[] {
  return [master, ...(worker === undefined ? [] : [worker]), ...oldWorkers];
}

/** A HeadgateError by its cause. */
function failedWith(error: unknown, ...codes: readonly string[]): boolean {
  return hasCode(error instanceof HeadgateError ? error.cause : error, ...codes);
}
