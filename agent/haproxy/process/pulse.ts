import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../../lib/clock.ts';
import type { Log } from '../../../lib/log.ts';
import { sockets } from '../model/names.ts';
import { askOnce } from './master.ts';
import { MASTER_SOCKET, sendSignal } from './stop.ts';

/** Milliseconds between two looks, and how long one waits for its answer: together under two seconds. */
const LOOK_EVERY = 1_000;
const PATIENCE = 900;

/**
 * Looks without an answer until a process counts as lost. A worker that computes is ended by its own watchdog before
 * that; a master is silent while it loads a configuration, and traffic does not need it.
 */
const LOST_AFTER: Readonly<Record<Part, number>> = { worker: 3, master: 8 };
/** The same where nobody listens on the socket, which waiting cannot mend. */
const UNREACHABLE_AFTER = 2;
/** But a master of 2.6 that reloads has closed its socket until it has loaded the configuration. */
const LOADED_AFTER = 60;

export type Part = 'worker' | 'master';

export interface Illness {
  readonly part: Part;
  readonly pid: number;
  /** Looks in a row without an answer. */
  readonly misses: number;
  /** Of them, until it counts as lost. */
  readonly lostAfter: number;
  /** Nobody listens on its socket, though the process runs. */
  readonly unreachable: boolean;
  readonly words: string;
}

export interface PulseOptions {
  readonly folder: string;
  /** Its pids mean nothing here. */
  readonly external: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** The processes to look at; undefined while there are none or they are just being started or reloaded. */
  readonly subjects: () => { readonly master: number; readonly worker: number | undefined } | undefined;
  /** Called when a process is lost: it runs, and will not answer any more. */
  readonly onLost: () => void;
}

/**
 * Looks every second whether HAProxy's processes answer, each on a new connection, whatever else waits for them
 * meanwhile. A process that somebody stopped is told to go on; one that stays silent is lost.
 */
export class Pulse {
  readonly #options: PulseOptions;
  #ill: Illness | undefined;

  constructor(options: PulseOptions) {
    this.#options = options;
  }

  /** What does not answer; the worker before the master. */
  get ill(): Illness | undefined {
    return this.#ill;
  }

  get lost(): Illness | undefined {
    const ill = this.#ill;
    return ill !== undefined && ill.misses >= ill.lostAfter ? ill : undefined;
  }

  /** What was lost has been replaced. */
  forget(): void {
    this.#ill = undefined;
  }

  /** Until the signal aborts. */
  async run(): Promise<void> {
    const { clock, signal, subjects, onLost } = this.#options;
    for (;;) {
      try {
        await clock.sleep(LOOK_EVERY, signal);
      } catch {
        return; // ended
      }
      const before = subjects();
      // What is ill stays so while it is being replaced.
      if (before === undefined) continue;
      const found = await this.#look(before.master, before.worker);
      const after = subjects();
      if (after === undefined) continue;
      // Answers of processes that were ended meanwhile, by us or by themselves, say nothing.
      if (after.master !== before.master || after.worker !== before.worker) {
        this.#ill = undefined;
        continue;
      }
      this.#ill = found;
      if (this.lost !== undefined) onLost();
    }
  }

  async #look(master: number, worker: number | undefined): Promise<Illness | undefined> {
    const { folder } = this.#options;
    const [ofWorker, ofMaster] = await Promise.all([
      worker === undefined ? undefined : misses(askOnce(join(folder, sockets.worker), 'show version', PATIENCE)),
      misses(askOnce(join(folder, MASTER_SOCKET), 'show proc', PATIENCE)),
    ]);
    if (worker !== undefined && ofWorker !== undefined) return this.#miss('worker', worker, ofWorker);
    if (ofMaster !== undefined) return this.#miss('master', master, ofMaster);
    if (this.#ill !== undefined) this.#options.log.info('haproxy answers again', { part: this.#ill.part });
    return undefined;
  }

  #miss(part: Part, pid: number, code: string): Illness {
    const { external, log } = this.#options;
    const before = this.#ill?.pid === pid ? this.#ill : undefined;
    const stopped = !external && isStopped(pid);
    if (stopped) sendSignal(pid, 'SIGCONT');
    const unreachable = code === 'ENOENT' || code === 'ECONNREFUSED';
    const why = unreachable ? 'nobody listens on its socket' : stopped ? 'it was stopped by a signal' : 'it is silent';
    const words = `HAProxy's ${part} does not answer: ${why}`;
    if (before === undefined) log.warn(words, { part, pid });
    const loads = part === 'master' && code === 'ECONNREFUSED';
    const lostAfter = loads ? LOADED_AFTER : unreachable ? UNREACHABLE_AFTER : LOST_AFTER[part];
    return { part, pid, misses: (before?.misses ?? 0) + 1, lostAfter, unreachable, words };
  }
}

/** @returns undefined where it answers, else the error's code. */
async function misses(answer: Promise<string>): Promise<string | undefined> {
  try {
    return (await answer) === '' ? 'EMPTY' : undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'SILENT';
  }
}

/** By a signal, not by a debugger. Where there is no /proc nobody knows. */
function isStopped(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat[stat.lastIndexOf(')') + 2] === 'T';
  } catch {
    return false;
  }
}
