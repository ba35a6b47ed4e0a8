import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { Lingering } from './lingering.ts';
import type { Mirror } from './mirror/mirror.ts';
import type { Change } from './model/change.ts';
import type { Planner } from './plan/planner.ts';
import { Pulse } from './process/pulse.ts';

export interface KeeperOptions {
  readonly mirror: Mirror;
  readonly planner: Planner;
  readonly folder: string;
  /** Spare backends to hold ready. */
  readonly spares: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Runs a job when no other one runs. */
  readonly inTurn: (job: () => Promise<void>) => Promise<void>;
  /**
   * HAProxy refused the files of a reload that nobody asked for now.
   * @param cause what the reload was for
   * @returns whether they are without what it refuses
   */
  readonly onRefused: (refused: HeadgateError, cause: Change | undefined) => Promise<boolean>;
}

/** Milliseconds. */
const LOOK_EVERY = 1_000;
/** While there are endpoints of which only a part may be out for outliers. */
const FLOOR_EVERY = 200;
const REPAIR_EVERY = 30_000;
/** A reload that failed is tried again this often: reading the files may cost seconds of CPU. */
const SETTLE_EVERY = 5_000;
/** The pool is refilled when nothing was applied for so long, or at once when it is nearly dry. */
const QUIET = 1_000;
/** Wait from when HAProxy is seen to have ended until it is started again, doubled each time until one lived for STABLE. */
const RESTART_BASE = 250;
const RESTART_CAP = 10_000;
const STABLE = 60_000;
/** Deaths are told for so long after the last. */
const REMEMBERED = 600_000;

/**
 * Keeps one HAProxy as it should be between changes: starts it again when it died, replaces it when it hangs, repairs
 * what differs, ends what was drained, and refills the pool of spares.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #pulse: Pulse;
  readonly #lingering = new Lingering();
  #wake = new AbortController();
  #problem = '';
  #appliedAt: number;
  #repairedAt: number;
  #settledAt = -Infinity;
  #deaths = 0;
  #diedAt = -Infinity;
  #lastWords = '';
  /** Why the binary that a start or reload would run cannot be used. */
  #unusable = '';
  #restarts = 0;
  #startedAt = -Infinity;
  /** When HAProxy, which has ended, is started again. */
  #reviveAt: number | undefined;

  constructor(options: KeeperOptions) {
    const { mirror, folder, clock, log, signal } = options;
    this.#options = options;
    this.#repairedAt = this.#appliedAt = clock.now();
    this.#pulse = new Pulse({
      folder,
      external: mirror.process.external,
      clock,
      log,
      signal,
      subjects: () => mirror.process.settled,
      onLost: () => {
        // Whoever waits for its answer need not wait any longer.
        mirror.close();
        this.wake();
      },
    });
  }

  /** What is wrong now; empty when nothing is. */
  get problem(): string {
    const ill = this.#options.mirror.process.alive() ? this.#pulse.ill : undefined;
    return ill?.words ?? this.#problem;
  }

  /** Whether requests can be answered, as far as is known. */
  get serves(): boolean {
    const { ill } = this.#pulse;
    // A worker whose socket is gone takes requests all the same.
    return this.#options.mirror.serves && (ill?.part !== 'worker' || ill.unreachable);
  }

  /** What went wrong lately and was mended, and what the next reload brings. */
  get note(): string {
    const { build, version } = this.#options.mirror.process;
    const other =
      build.version === version ? '' : `HAProxy ${version} runs, and ${build.version} from the next reload on`;
    return [this.#mourning, this.#unusable === '' ? other : this.#unusable].filter((words) => words !== '').join('; ');
  }

  get #mourning(): string {
    if (this.#options.clock.now() - this.#diedAt > REMEMBERED) return '';
    const times = this.#deaths === 1 ? 'once' : `${this.#deaths} times`;
    return `HAProxy was started again ${times} lately: ${this.#lastWords}`;
  }

  /** Looks after HAProxy until the signal aborts. */
  async run(): Promise<void> {
    await Promise.all([this.#pulse.run(), this.#watch()]);
  }

  /** Something happened that is worth a look now. */
  wake(): void {
    this.#wake.abort();
  }

  applied({ lingering }: Change): void {
    const now = this.#options.clock.now();
    this.#appliedAt = now;
    this.#lingering.add(lingering, now);
  }

  failed(problem: string): void {
    this.#problem = problem;
  }

  /** Starts HAProxy again where it died, not more often than it is worth. @throws HG5004 while that is put off. */
  async revive(): Promise<void> {
    const { mirror, clock, log } = this.#options;
    if (mirror.process.alive()) return;
    const now = clock.now();
    if (mirror.process.external) {
      if (!(await mirror.resume())) throw new HeadgateError('HG5004', 'HAProxy ended and is not started again yet');
      this.#mourn(await mirror.process.lastWords());
      log.warn('haproxy was started again');
      return;
    }
    if (this.#reviveAt === undefined) {
      if (now - this.#startedAt >= STABLE) this.#restarts = 0;
      this.#mourn(await mirror.process.lastWords());
      this.#reviveAt = now + waitBefore(this.#restarts);
    }
    if (now < this.#reviveAt) {
      throw new HeadgateError('HG5004', `HAProxy ended again and will be started soon: ${this.#lastWords}`);
    }
    this.#restarts++;
    log.warn('haproxy died and is started again', { words: this.#lastWords });
    try {
      await mirror.start();
      this.#reviveAt = undefined;
      this.#problem = '';
    } catch (error) {
      // It is still the same death.
      this.#reviveAt = clock.now() + waitBefore(this.#restarts);
      throw error;
    } finally {
      this.#startedAt = clock.now();
    }
  }

  /** Before a reload would fail by it. */
  async #lookAtBinary(): Promise<void> {
    this.#unusable = await this.#options.mirror.process.probe().then(
      () => '',
      (error: unknown) => `HAProxy cannot be reloaded: ${HeadgateError.from(error).message}`,
    );
  }

  #mourn(words: string): void {
    const now = this.#options.clock.now();
    this.#deaths = now - this.#diedAt > REMEMBERED ? 1 : this.#deaths + 1;
    this.#diedAt = now;
    this.#lastWords = words;
  }

  async #watch(): Promise<void> {
    const { clock, log, mirror, signal, inTurn } = this.#options;
    while (!signal.aborted) {
      const due = Math.min(
        clock.now() + (mirror.hasFloors ? FLOOR_EVERY : LOOK_EVERY),
        this.#lingering.dueAt ?? Infinity,
        mirror.executor.dueAt ?? Infinity,
        this.#reviveAt ?? Infinity,
      );
      await this.#sleep(Math.max(1, due - clock.now()));
      if (signal.aborted) return;
      try {
        await inTurn(() => this.#tend());
      } catch (thrown) {
        const error = HeadgateError.from(thrown, 'HG5004');
        if (error.message !== this.#problem) log.warn('haproxy cannot be mended', { error });
        this.#problem = error.message;
      }
    }
  }

  /** Sleeps until the time is over or something happens. */
  async #sleep(ms: number): Promise<void> {
    const { clock, signal } = this.#options;
    try {
      await clock.sleep(ms, AbortSignal.any([signal, this.#wake.signal]));
    } catch {
      this.#wake = new AbortController();
    }
  }

  async #tend(): Promise<void> {
    const { mirror, planner, clock, log } = this.#options;
    const now = clock.now();
    const { lost } = this.#pulse;
    if (lost?.unreachable === true && (await mirror.process.isReachable())) {
      // For example since its disk is back.
      this.#pulse.forget();
    } else if (lost !== undefined && mirror.process.alive()) {
      // A signal does not reach it, and beside a worker that hangs with its listeners another is no help.
      if (mirror.process.external) throw new HeadgateError('HG5004', `${lost.words}; who runs it has to restart it`);
      log.warn('haproxy is replaced', { why: lost.words });
      await mirror.replace(lost.part === 'worker' && !lost.unreachable);
      this.#mourn(lost.words);
      this.#pulse.forget();
    }
    if (mirror.process.alive()) {
      this.#reviveAt = undefined;
      await mirror.process.refresh();
    } else await this.revive();
    if (mirror.isBehind || mirror.isStranger || now - this.#repairedAt >= REPAIR_EVERY) {
      await mirror.repair();
      await mirror.process.trimLog();
      await this.#lookAtBinary();
      this.#repairedAt = clock.now();
    }
    if (mirror.reloads.owed !== undefined && !mirror.reloads.isHeld && now - this.#settledAt >= SETTLE_EVERY) {
      this.#settledAt = now;
      await this.#reloading(() => mirror.settle());
    }
    if (mirror.hasFloors) await mirror.holdFloors();
    mirror.process.endReplaced();
    mirror.tendLeaving();
    if ((mirror.executor.dueAt ?? Infinity) <= now) await mirror.executor.deleteDrained();
    const gone = this.#lingering.take(now);
    if (gone.length > 0) await mirror.carryOut(planner.forget(gone));
    if (mirror.reloads.owed === undefined && !mirror.reloads.isHeld) await this.#refill(now);
    this.#problem = mirror.reloads.owed ?? '';
  }

  async #carryOut(change: Change): Promise<void> {
    await this.#reloading(() => this.#options.mirror.carryOut(change), change);
  }

  async #reloading(job: () => Promise<unknown>, cause?: Change): Promise<void> {
    try {
      await job();
    } catch (thrown) {
      const error = HeadgateError.from(thrown);
      if (error.code !== 'HG5002' || !(await this.#options.onRefused(error, cause))) throw error;
    }
  }

  /** One reload while it is quiet spares the next services theirs. */
  async #refill(now: number): Promise<void> {
    const { mirror, planner, spares } = this.#options;
    const quiet = now - this.#appliedAt >= QUIET;
    if (planner.needsSlots(quiet) && mirror.reloads.mayBegin) await this.#carryOut(planner.growProfiles());
    if (planner.sparesLeft > (quiet ? spares / 2 : spares / 8)) return;
    await this.#carryOut(planner.grow(spares - planner.sparesLeft));
  }
}

/** @param restarts those before, since HAProxy was stable. */
function waitBefore(restarts: number): number {
  return restarts === 0 ? 0 : Math.min(RESTART_CAP, RESTART_BASE * 2 ** (restarts - 1));
}
