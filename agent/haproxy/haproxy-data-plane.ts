import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Inventory, Resource, ResourceDelta } from '../../lib/sync/index.ts';
import { isLocal } from '../ledger/types.ts';
import type {
  DataPlane,
  DataPlaneOptions,
  DataPlaneStatus,
  EndpointsOut,
  GatewayCredentials,
  ResourceVerdict,
} from './data-plane.ts';
import { findCulprits, trial } from './culprits.ts';
import type { Refusal } from './culprits.ts';
import { Keeper } from './keeper.ts';
import { LastGood, putOff } from './last-good.ts';
import { openLoadable } from './loadable.ts';
import { Mirror } from './mirror.ts';
import type { Change } from './model/change.ts';
import type { Fixed } from './model/desired.ts';
import { cookieKey, files, sockets } from './model/names.ts';
import { combinedPem } from './model/pem.ts';
import { Planner } from './plan/planner.ts';
import { realListeners } from './process/addresses.ts';
import { ConfigFiles } from './process/config-files.ts';
import { ownListeners } from './process/own-listeners.ts';
import { isSelfMade, makeDefaultCertificate } from './process/default-certificate.ts';
import { dropSecrets } from './process/memory-folder.ts';
import { probeHaproxy } from './process/probe.ts';
import type { HaproxyBuild } from './process/probe.ts';
import { parseState, STATE_FILE } from './process/state-file.ts';
import { isRunning } from './process/stop.ts';
import type { Failure } from './runtime/executor.ts';
import { HealthWatch } from './runtime/health-watch.ts';

/** How the data plane meets the world. */
export interface DataPlaneRim {
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the watching; HAProxy serves on. */
  readonly signal: AbortSignal;
  /** Told of resources that HAProxy refuses though it once took them. */
  readonly onRejected?: (verdicts: readonly ResourceVerdict[]) => void;
  /** Told about every second of all backends that have endpoints out, by name. */
  readonly onHealth?: (out: ReadonlyMap<string, EndpointsOut>) => void;
}

/** Peer slots at first; they grow like the others. */
const PEER_SLOTS = 16;
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
  /** Asks HAProxy about some resources alone. */
  readonly refusal: Refusal;
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
    const { delta, change, mirror, planner, refusal } = await this.#prepare(desired);
    const culprits = () => culpritsOf(delta.upserts, refusal);
    return this.#good.judge(delta, change, await openLoadable(planner, () => mirror.lay(), culprits));
  }

  async #start(desired: Inventory): Promise<readonly ResourceVerdict[]> {
    const { folder, spares } = this.#options;
    const { clock, log } = this.#rim;
    const { before, delta, change, mirror, planner, fixed, refusal } = await this.#prepare(desired);
    const culprits = () => culpritsOf(delta.upserts, refusal);
    const unloadable = await openLoadable(planner, () => mirror.open(before), culprits);
    const keeper = new Keeper({
      mirror,
      planner,
      folder,
      spares,
      clock,
      log,
      signal: this.#signal,
      inTurn: (job) => this.#inTurn(job),
      onRefused: () => this.#leaveOut(),
    });
    this.#opened = { mirror, planner, fixed, keeper, refusal };
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

  async #prepare(desired: Inventory) {
    const { folder, cluster, listeners, gateway, spares, external = false } = this.#options;
    const { clock, log } = this.#rim;
    const configFiles = new ConfigFiles(folder, external);
    await configFiles.prepare();
    const before = parseState(await configFiles.read(STATE_FILE));
    const written = await configFiles.read(files.defaultCertificate);
    const fixed: Fixed = {
      cluster,
      listeners: await realListeners(listeners, before, await isRunning(folder)),
      ...gatewayPems(gateway),
      defaultCertificate:
        written !== undefined && isSelfMade(written) ? written : await makeDefaultCertificate(clock.wall()),
      cookieKey: cookieKey(cluster),
      threads: undefined,
    };
    const { http, https, gateway: crossing } = fixed.listeners;
    const makePlanner = () =>
      new Planner({
        cluster,
        tlsPassthrough: listeners.tlsPassthrough,
        selfMadeCertificate: fixed.defaultCertificate,
        ownListener: ownListeners(
          new Map([
            ['the http listener', http],
            ['the https listener', https],
            ['the gateway listener', crossing],
            ...(this.#options.agentListeners ?? []),
          ]),
          machineAddresses,
        ),
        assignments: {
          slots: Math.max(spares, before?.slots ?? 0),
          profiles: before?.profiles ?? [],
          peerSlots: Math.max(PEER_SLOTS, before?.peerSlots ?? 0),
          backends: before?.backends ?? new Map(),
          peers: before?.peers ?? new Map(),
        },
      });
    const planner = makePlanner();
    const mirror = new Mirror({
      build: this.#build,
      folder,
      external,
      files: configFiles,
      planner,
      fixed,
      clock,
      log,
      signal: this.#signal,
      onEvent: () => this.#opened?.keeper.wake(),
    });
    const delta = { upserts: [...desired.all()].filter((one) => !isLocal(one)), removals: [] };
    const change = planner.apply(delta);
    const refusal = trial({ binary: this.#build.path, folder, external, fixed, planner: makePlanner });
    return { before, delta, change, mirror, planner, fixed, refusal };
  }

  async apply(delta: ResourceDelta): Promise<readonly ResourceVerdict[]> {
    return await this.#inTurn(async () => {
      const { mirror, planner, keeper } = this.#need();
      const foreign = {
        upserts: delta.upserts.filter((one) => !isLocal(one)),
        removals: delta.removals.filter((one) => !isLocal(one)),
      };
      const change = planner.apply(foreign, mirror.mayReload);
      keeper.applied(change);
      let failures: readonly Failure[] = [];
      try {
        failures = await mirror.carryOut(change);
        if (failures.length > 0) await this.#undo(foreign, failures);
        return this.#good.unlessOwed(this.#good.judge(foreign, change, failures), mirror.owed);
      } catch (thrown) {
        const error = HeadgateError.from(thrown, 'HG5003');
        if (error.code === 'HG5002' && change.reload === 'backend-settings' && !(await this.#isBroken())) {
          return await this.#judgeRefused(foreign, change, error.message);
        }
        try {
          // The old worker serves on; without the culprits the new one can be had.
          const refused = error.code === 'HG5002' ? await this.#culprits(foreign) : [];
          if (refused.length > 0) {
            await this.#undo(foreign, refused);
            return this.#good.judge(foreign, change, refused);
          }
        } catch (another) {
          this.#rim.log.warn('what HAProxy refuses was not found', { error: HeadgateError.from(another) });
        }
        return await this.#judgeLost(foreign, change, failures, error);
      }
    });
  }

  /** What HAProxy cannot load of a delta, or else of all that it should hold with it. */
  async #culprits(delta: ResourceDelta): Promise<readonly Failure[]> {
    const news = await culpritsOf(delta.upserts, this.#need().refusal);
    if (news.length > 0) return news;
    return await culpritsOf(this.#good.with(delta), this.#need().refusal);
  }

  /** HAProxy refuses files that it has to load: what it cannot load of them is taken away. @returns whether it was found */
  async #leaveOut(): Promise<boolean> {
    const nothing: ResourceDelta = { upserts: [], removals: [] };
    const failures = await this.#culprits(nothing);
    if (failures.length === 0) return false;
    await this.#undo(nothing, failures);
    this.#rim.onRejected?.(this.#good.judge(nothing, this.#need().planner.apply(nothing), failures));
    return true;
  }

  /** Whether HAProxy refuses whatever it is given: then no resource is to blame. */
  async #isBroken(): Promise<boolean> {
    return (await this.#need().refusal([])) !== undefined;
  }

  async setGateway(credentials: GatewayCredentials): Promise<void> {
    await this.#inTurn(async () => {
      await this.#need().mirror.setGateway(gatewayPems(credentials));
    });
  }

  status(): DataPlaneStatus {
    const { mirror, planner, fixed, keeper } = this.#opened ?? {};
    const idle = this.#stopped ? 'stopped' : 'HAProxy is not running';
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
      reloads: mirror?.reloads ?? new Map(),
      sparesLeft: planner?.sparesLeft ?? 0,
      commands: mirror?.commands ?? { ok: 0, failed: 0 },
    };
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
    this.#opened?.mirror.close();
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

  /** HAProxy does not load a profile: what asked for it is undone, so that the next reload has the others only. */
  async #judgeRefused(delta: ResourceDelta, change: Change, words: string): Promise<readonly ResourceVerdict[]> {
    const { mirror, planner } = this.#need();
    const failures = change.causes.resources.map((resource): Failure => ({ resource, command: 'load', words }));
    const undone = this.#takeBack(delta, failures);
    const abandoned = planner.abandonProfiles();
    await mirror.carryOut({ ...abandoned, files: new Set([...undone.files, ...abandoned.files]) });
    mirror.forgive();
    return this.#good.judge(delta, change, failures);
  }

  /** Brings the resources that HAProxy refused back to their last good version, or takes them away. */
  async #undo(delta: ResourceDelta, failures: readonly Failure[]): Promise<void> {
    const { mirror } = this.#need();
    await mirror.carryOut(this.#takeBack(delta, failures));
    // Of a refused resource any part may be there or not: whatever is left over is found by looking.
    await mirror.repair();
    mirror.forgive();
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
      if (mirror.owed !== undefined) this.#good.owe(verdicts);
      return verdicts.map((verdict) => putOff(verdict, code, message));
    }
  }
}

function machineAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
}

async function culpritsOf(all: readonly Resource[], refusal: Refusal): Promise<readonly Failure[]> {
  // A HAProxy that takes not even nothing, for example a broken binary, accuses nobody.
  if ((await refusal([])) !== undefined) return [];
  return [...(await findCulprits(all, refusal))].map(([{ type, name }, words]) => ({
    resource: { type, name },
    command: 'load',
    words,
  }));
}

/** Without blank lines, which would end the payload of a runtime command. */
function gatewayPems({ certificate, privateKey, ca }: GatewayCredentials) {
  const lines = ca.split('\n').filter((line) => line.trim() !== '');
  return { gatewayCertificate: combinedPem(certificate, privateKey), gatewayCa: `${lines.join('\n')}\n` };
}
