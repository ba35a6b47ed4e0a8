import { join } from 'node:path';
import { HeadgateError } from '../../lib/errors.ts';
import type { Inventory, ResourceDelta } from '../../lib/sync/index.ts';
import { isLocal } from '../ledger/types.ts';
import type { Court } from './culprits.ts';
import type {
  DataPlane,
  DataPlaneOptions,
  DataPlaneStatus,
  GatewayCredentials,
  ResourceVerdict,
} from './data-plane.ts';
import { Keeper } from './keeper.ts';
import { LastGood, putOff } from './last-good.ts';
import { type Loading, loadWithout } from './loadable.ts';
import type { Mirror } from './mirror/mirror.ts';
import type { Change } from './model/change.ts';
import type { Fixed } from './model/desired.ts';
import { sockets } from './model/names.ts';
import type { Planner } from './plan/planner.ts';
import { gatewayPems, type Ground, prepare } from './prepare.ts';
import { dropSecrets } from './process/memory-folder.ts';
import { type HaproxyBuild, probeHaproxy } from './process/probe.ts';
import { isRunning } from './process/stop.ts';
import type { DataPlaneRim } from './rim.ts';
import type { Failure } from './runtime/executor.ts';
import { HealthWatch } from './runtime/health-watch.ts';

/** Milliseconds that connections get to end when HAProxy is stopped. */
const STOP_GRACE = 2_000;
/** Longest path of a UNIX socket, without its last zero byte (sun_path). */
const SOCKET_PATH = 107;

/** @throws HG5001 where the binary cannot be used, HG2003 where the folder cannot. */
export async function openDataPlane(options: DataPlaneOptions, rim: DataPlaneRim): Promise<DataPlane> {
  const longest = join(options.folder, sockets.terminate);
  if (Buffer.byteLength(longest) > SOCKET_PATH) {
    throw new HeadgateError('HG2003', `the path of HAProxy's sockets is too long: ${longest}`, {
      remedy: 'give the agent a folder with a shorter path with --data',
    });
  }
  return new HaproxyDataPlane(options, rim, await probeHaproxy(options.haproxy));
}

/**
 * Lays out the files of a HAProxy that somebody else starts, from the last good resources.
 *
 * @returns the verdicts of those that it cannot begin with
 * @throws HG5001 where the binary cannot be used, HG2003 where the folder cannot.
 */
export async function renderDataPlane(
  options: DataPlaneOptions,
  rim: DataPlaneRim,
  desired: Inventory,
): Promise<readonly ResourceVerdict[]> {
  const plane = new HaproxyDataPlane({ ...options, external: true }, rim, await probeHaproxy(options.haproxy));
  return await plane.render(desired);
}

interface Opened {
  readonly mirror: Mirror;
  readonly planner: Planner;
  readonly fixed: Fixed;
  readonly keeper: Keeper;
  readonly court: Court;
}

class HaproxyDataPlane implements DataPlane {
  readonly #options: DataPlaneOptions;
  readonly #rim: DataPlaneRim;
  readonly #build: HaproxyBuild;
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal;
  readonly #good = new LastGood();
  #opened: Opened | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #keeping: Promise<unknown> | undefined;
  #stopped = false;

  constructor(options: DataPlaneOptions, rim: DataPlaneRim, build: HaproxyBuild) {
    this.#options = options;
    this.#rim = rim;
    this.#build = build;
    this.#signal = AbortSignal.any([rim.signal, this.#ending.signal]);
  }

  async start(desired: Inventory): Promise<readonly ResourceVerdict[]> {
    return await this.#inTurn(async () => {
      try {
        return await this.#start(desired);
      } catch (error) {
        const { folder } = this.#options;
        if (!(await isRunning(folder))) await dropSecrets(folder);
        throw error;
      }
    });
  }

  /** Writes what a HAProxy that somebody else starts is to begin with. @returns what it cannot begin with. */
  async render(desired: Inventory): Promise<readonly ResourceVerdict[]> {
    const ground = await this.#prepare(desired);
    return this.#good.judge(ground.delta, ground.change, await openWithout(ground, () => ground.mirror.lay()));
  }

  async #start(desired: Inventory): Promise<readonly ResourceVerdict[]> {
    const { folder, spares } = this.#options;
    const { clock, log } = this.#rim;
    const ground = await this.#prepare(desired);
    const { before, delta, change, mirror, planner, fixed, court } = ground;
    const unloadable = await openWithout(ground, () => mirror.open(before));
    const keeper = new Keeper({
      mirror,
      planner,
      folder,
      spares,
      clock,
      log,
      signal: this.#signal,
      inTurn: (job) => this.#inTurn(job),
      onRefused: (error, cause) => this.#leaveOutOld(error, cause),
    });
    this.#opened = { mirror, planner, fixed, keeper, court };
    const watch = new HealthWatch({
      socket: join(folder, sockets.worker),
      slots: () => planner.desired.slots,
      clock,
      signal: this.#signal,
      onLook: (out) => this.#rim.onHealth?.(out),
    });
    this.#keeping = Promise.all([keeper.run(), watch.run()]);
    return this.#good.judge(delta, change, unloadable);
  }

  async #prepare(desired: Inventory): Promise<Ground> {
    const onEvent = (): void => this.#opened?.keeper.wake();
    return await prepare(this.#options, { ...this.#rim, signal: this.#signal }, this.#build, desired, onEvent);
  }

  async apply(delta: ResourceDelta): Promise<readonly ResourceVerdict[]> {
    return await this.#inTurn(async () => {
      const { mirror, planner, keeper } = this.#need();
      const foreign = {
        upserts: delta.upserts.filter((one) => !isLocal(one)),
        removals: delta.removals.filter((one) => !isLocal(one)),
      };
      const change = planner.apply(foreign, mirror.reloads.mayBegin);
      keeper.applied(change);
      let failures: readonly Failure[] = [];
      try {
        failures = await mirror.carryOut(change);
        if (failures.length > 0) await this.#undo(foreign, failures);
        return this.#good.unlessOwed(this.#good.judge(foreign, change, failures), mirror.reloads.owed);
      } catch (thrown) {
        const error = HeadgateError.from(thrown, 'HG5003');
        if (error.code === 'HG5002') {
          try {
            // The old worker serves on; without the culprits the new one can be had.
            return this.#good.judge(foreign, change, await this.#leaveOut(foreign, change, error));
          } catch (another) {
            this.#rim.log.warn('what HAProxy refuses was not found', { error: HeadgateError.from(another) });
          }
        }
        return await this.#judgeLost(foreign, change, failures, error);
      }
    });
  }

  /** HAProxy has refused to load its files: what it cannot load of them is taken back. @throws where that is not found. */
  async #leaveOut(delta: ResourceDelta, change: Change, refused: HeadgateError): Promise<readonly Failure[]> {
    const { mirror, planner, court } = this.#need();
    let undone: Change[] = [];
    const loading: Loading = {
      load: async () => {
        await mirror.settle(undone);
        undone = [];
      },
      culprits: (words) => court.judge(delta.upserts, () => this.#good.with(delta), change, words),
      leaveOut: ({ failures, profiles }) => {
        const back = this.#takeBack(delta, failures);
        // Nobody has ever asked for what HAProxy did not load.
        undone.push(back, planner.forget(back.lingering), planner.abandonProfiles(profiles));
      },
    };
    return await loadWithout(loading, refused);
  }

  /** The same in a reload that nobody asked for now. @returns whether it was found. */
  async #leaveOutOld(refused: HeadgateError, cause: Change | undefined): Promise<boolean> {
    const nothing: ResourceDelta = { upserts: [], removals: [] };
    const change = cause ?? this.#need().planner.apply(nothing);
    try {
      const failures = await this.#leaveOut(nothing, change, refused);
      if (failures.length > 0) this.#rim.onRejected?.(this.#good.judge(nothing, change, failures));
      return true;
    } catch (error) {
      this.#rim.log.warn('what HAProxy refuses was not found', { error: HeadgateError.from(error) });
      return false;
    }
  }

  async setGateway(credentials: GatewayCredentials): Promise<void> {
    await this.#inTurn(async () => {
      await this.#need().mirror.setGateway(gatewayPems(credentials));
    });
  }

  status(): DataPlaneStatus {
    const { mirror, planner, fixed, keeper } = this.#opened ?? {};
    const absent = this.#options.external === true ? 'nobody has started HAProxy yet' : 'HAProxy is not running';
    const idle = this.#stopped ? 'stopped' : absent;
    const listeners = fixed?.listeners ?? this.#options.listeners;
    return {
      ready: keeper?.serves === true,
      reason: keeper?.serves === true ? keeper.problem : keeper?.problem || idle,
      note: keeper?.note ?? '',
      filesBehind: mirror?.isBehind ?? false,
      version: mirror?.process.version ?? this.#build.version,
      pid: mirror?.process.pid,
      http: listeners.http,
      https: listeners.https,
      gateway: listeners.gateway,
      reloads: mirror?.reloads.counts ?? new Map(),
      sparesLeft: planner?.sparesLeft ?? 0,
      commands: mirror?.commands ?? { ok: 0, failed: 0 },
      oldWorkers: mirror?.process.oldWorkers ?? { count: 0, oldestMs: 0 },
    };
  }

  hold(): void {
    this.#need().mirror.reloads.hold();
  }

  async metrics(): Promise<string> {
    return await this.#need().mirror.metrics();
  }

  async stop(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await this.#opened?.mirror.process.stop(STOP_GRACE);
    this.#stopped = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#keeping;
    await this.#queue;
    this.#opened?.mirror.leave();
  }

  #need() {
    if (this.#opened === undefined) throw new HeadgateError('HG5004', 'HAProxy has not been started');
    return this.#opened;
  }

  /** One job at a time, in the order they came. */
  async #inTurn<T>(job: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(job);
    this.#queue = done.catch(() => undefined);
    return await done;
  }

  /** Brings the resources that HAProxy refused back to their last good version, or takes them away. */
  async #undo(delta: ResourceDelta, failures: readonly Failure[]): Promise<void> {
    const { mirror } = this.#need();
    await mirror.carryOut(this.#takeBack(delta, failures));
    // Of a refused resource any part may be there or not: whatever is left over is found by looking.
    await mirror.repair();
  }

  #takeBack(delta: ResourceDelta, failures: readonly Failure[]): Change {
    const { planner, keeper } = this.#need();
    const change = planner.apply(this.#good.undoing(delta, failures));
    keeper.applied(change);
    return change;
  }

  /** HAProxy went away meanwhile. The files hold the change, so it is live as soon as HAProxy is back. */
  async #judgeLost(
    delta: ResourceDelta,
    change: Change,
    failures: readonly Failure[],
    error: HeadgateError,
  ): Promise<readonly ResourceVerdict[]> {
    this.#rim.log.warn('a change was not mirrored', { error });
    const { keeper, mirror } = this.#need();
    try {
      await keeper.revive();
      await mirror.repair();
      return this.#good.judge(delta, change, failures);
    } catch (thrown) {
      const { code, message } = HeadgateError.from(thrown, 'HG5004');
      keeper.failed(message);
      const verdicts = this.#good.judge(delta, change, failures);
      if (mirror.reloads.owed !== undefined) this.#good.owe(verdicts);
      return verdicts.map((verdict) => putOff(verdict, code, message));
    }
  }
}

/** Opens HAProxy without what it cannot load. @returns what was left out. */
async function openWithout({ court, delta, change, planner }: Ground, load: () => Promise<void>) {
  return await loadWithout({
    load,
    culprits: (words) => court.judge(delta.upserts, () => [], change, words),
    leaveOut: ({ failures, profiles }) => {
      const removals = failures.flatMap(({ resource }) => resource ?? []);
      planner.forget(planner.apply({ upserts: [], removals }).lingering);
      planner.abandonProfiles(profiles);
    },
  });
}
