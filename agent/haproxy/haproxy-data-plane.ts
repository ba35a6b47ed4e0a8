import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { Inventory } from '../../lib/sync/index.ts';
import type { Resource, ResourceDelta, ResourceKey } from '../../lib/sync/index.ts';
import { isLocal } from '../ledger/types.ts';
import type {
  DataPlane,
  DataPlaneOptions,
  DataPlaneStatus,
  GatewayCredentials,
  ResourceVerdict,
} from './data-plane.ts';
import { openLoadable } from './loadable.ts';
import { Mirror } from './mirror.ts';
import type { Change } from './model/change.ts';
import type { Fixed } from './model/desired.ts';
import { files, sockets } from './model/names.ts';
import { combinedPem } from './model/pem.ts';
import { Planner } from './plan/planner.ts';
import { realListeners } from './process/addresses.ts';
import { ConfigFiles } from './process/config-files.ts';
import { makeDefaultCertificate } from './process/default-certificate.ts';
import { showProcesses } from './process/master.ts';
import { probeHaproxy } from './process/probe.ts';
import type { HaproxyBuild } from './process/probe.ts';
import { parseState, STATE_FILE } from './process/state-file.ts';
import { MASTER_SOCKET } from './process/stop.ts';
import { fetchMetrics, labelSlots } from './runtime/exporter.ts';
import type { Failure } from './runtime/executor.ts';

/** How the data plane meets the world. */
export interface DataPlaneRim {
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the watching; HAProxy serves on. */
  readonly signal: AbortSignal;
}

/** Milliseconds. */
const LOOK_EVERY = 1_000;
const REPAIR_EVERY = 30_000;
/** Routes that went away stay known to the gateway listener for so long. */
const LINGER = 30_000;
/** The pool is refilled when nothing was applied for so long, or at once when it is nearly dry. */
const QUIET = 1_000;
const RESTART_BASE = 250;
const RESTART_CAP = 10_000;
/** Peer slots at first; they grow like the others. */
const PEER_SLOTS = 16;
/** Time that connections get to end when HAProxy is stopped. */
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

class HaproxyDataPlane implements DataPlane {
  readonly #options: DataPlaneOptions;
  readonly #rim: DataPlaneRim;
  readonly #build: HaproxyBuild;
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal;
  /** What HAProxy has taken, to go back to. */
  readonly #good = new Inventory();
  readonly #lingering: { readonly routes: readonly string[]; readonly until: number }[] = [];
  #opened: { readonly mirror: Mirror; readonly planner: Planner; readonly fixed: Fixed } | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #watching: Promise<void> | undefined;
  #wake = new AbortController();
  #reason = 'not started';
  #appliedAt = 0;
  #repairedAt = 0;
  #restarts = 0;
  #restartAt = 0;

  constructor(options: DataPlaneOptions, rim: DataPlaneRim, build: HaproxyBuild) {
    this.#options = options;
    this.#rim = rim;
    this.#build = build;
    this.#signal = AbortSignal.any([rim.signal, this.#ending.signal]);
  }

  async start(desired: Inventory): Promise<readonly ResourceVerdict[]> {
    return await this.#inTurn(async () => {
      const { folder, cluster, listeners, gateway, spares } = this.#options;
      const { clock, log } = this.#rim;
      const configFiles = new ConfigFiles(folder);
      await configFiles.prepare();
      const before = parseState(await configFiles.read(STATE_FILE));
      const fixed: Fixed = {
        cluster,
        listeners: await realListeners(listeners, before, await isRunning(folder)),
        ...gatewayPems(gateway),
        defaultCertificate:
          (await configFiles.read(files.defaultCertificate)) ?? (await makeDefaultCertificate(clock.wall())),
        threads: undefined,
      };
      const planner = new Planner({
        cluster,
        assignments: {
          slots: Math.max(spares, before?.slots ?? 0),
          peerSlots: Math.max(PEER_SLOTS, before?.peerSlots ?? 0),
          backends: before?.backends ?? new Map(),
          peers: before?.peers ?? new Map(),
        },
      });
      const mirror = new Mirror({
        build: this.#build,
        folder,
        files: configFiles,
        planner,
        fixed,
        clock,
        log,
        signal: this.#signal,
        onEvent: () => this.#wake.abort(),
      });
      const delta = { upserts: [...desired.all()].filter((one) => !isLocal(one)), removals: [] };
      const change = planner.apply(delta);
      const unloadable = await openLoadable(mirror, planner, before);
      this.#opened = { mirror, planner, fixed };
      this.#reason = '';
      this.#repairedAt = this.#appliedAt = clock.now();
      this.#watching = this.#watch();
      return this.#judge(delta, change, unloadable);
    });
  }

  async apply(delta: ResourceDelta): Promise<readonly ResourceVerdict[]> {
    return await this.#inTurn(async () => {
      const { mirror, planner } = this.#need();
      const foreign = {
        upserts: delta.upserts.filter((one) => !isLocal(one)),
        removals: delta.removals.filter((one) => !isLocal(one)),
      };
      const change = planner.apply(foreign);
      this.#linger(change);
      this.#appliedAt = this.#rim.clock.now();
      let failures: readonly Failure[] = [];
      try {
        failures = await mirror.carryOut(change);
        if (failures.length > 0) await this.#undo(foreign, failures);
        return this.#judge(foreign, change, failures);
      } catch (error) {
        return await this.#judgeLost(foreign, change, failures, HeadgateError.from(error, 'HG5003'));
      }
    });
  }

  async setGateway(credentials: GatewayCredentials): Promise<void> {
    await this.#inTurn(async () => {
      await this.#need().mirror.setGateway(gatewayPems(credentials));
    });
  }

  status(): DataPlaneStatus {
    const { mirror, planner, fixed } = this.#opened ?? {};
    const listeners = fixed?.listeners ?? this.#options.listeners;
    return {
      ready: mirror?.serves === true,
      reason: mirror?.serves === true ? this.#reason : this.#reason || 'HAProxy is not running',
      version: this.#build.version,
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
    const { planner } = this.#need();
    const text = await fetchMetrics(join(this.#options.folder, sockets.metrics));
    const labels = planner.desired.slots.flatMap(({ name, backend }) => {
      const [namespace, service, port] = backend?.split('/') ?? [];
      return namespace === undefined || service === undefined || port === undefined
        ? []
        : [[name, { namespace, service, port }] as const];
    });
    return labelSlots(text, new Map(labels));
  }

  async stop(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await this.#opened?.mirror.process.stop(STOP_GRACE);
    this.#reason = 'stopped';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    this.#wake.abort();
    await this.#watching;
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

  /**
   * Brings the resources that HAProxy refused back to their last good version, or takes them away. One that the delta
   * does not name (a certificate whose host came) has no other version than the refused one.
   */
  async #undo(delta: ResourceDelta, failures: readonly Failure[]): Promise<void> {
    const { mirror, planner } = this.#need();
    const upserts = new Map<string, Resource>();
    const removals = new Map<string, ResourceKey>();
    for (const { resource } of failures) {
      if (resource === undefined) continue;
      const { type, name } = resource;
      const good = isNamed(delta, resource) ? this.#good.get(type, name) : undefined;
      if (good === undefined) removals.set(`${type}/${name}`, { type, name });
      else upserts.set(`${type}/${name}`, good);
    }
    const change = planner.apply({ upserts: [...upserts.values()], removals: [...removals.values()] });
    this.#linger(change);
    await mirror.carryOut(change);
    // Of a refused resource any part may be there or not: whatever is left over is found by looking.
    await mirror.repair();
  }

  #judge(delta: ResourceDelta, change: Change, failures: readonly Failure[]): ResourceVerdict[] {
    const refused = new Map(change.rejections.map((one) => [labelOf(one.key), one]));
    // What a refused command leaves undone makes later ones fail: the first says why.
    const failed = new Map<string, Failure>();
    for (const one of failures) {
      if (one.resource !== undefined && !failed.has(labelOf(one.resource))) failed.set(labelOf(one.resource), one);
    }
    for (const key of delta.removals) if (!failed.has(labelOf(key))) this.#good.delete(key);
    const verdicts = delta.upserts.map((resource): ResourceVerdict => {
      const { type, name, digest } = resource;
      const key = { type, name };
      const rejection = refused.get(labelOf(key));
      if (rejection !== undefined) {
        const { code, message } = rejection;
        return { key, digest, programmed: false, code, message, haproxy: undefined, transient: false };
      }
      const failure = failed.get(labelOf(key));
      if (failure !== undefined) return refusedBy(failure, key, digest);
      this.#good.set(resource);
      return { key, digest, programmed: true };
    });
    for (const failure of failed.values()) {
      if (failure.resource === undefined || isNamed(delta, failure.resource)) continue;
      const { type, name } = failure.resource;
      const held = this.#good.get(type, name);
      if (held === undefined) continue;
      this.#good.delete(failure.resource);
      verdicts.push(refusedBy(failure, { type, name }, held.digest));
    }
    return verdicts;
  }

  /** HAProxy went away meanwhile. The files hold the change, so it is live as soon as HAProxy is back. */
  async #judgeLost(
    delta: ResourceDelta,
    change: Change,
    failures: readonly Failure[],
    error: HeadgateError,
  ): Promise<readonly ResourceVerdict[]> {
    this.#rim.log.warn('a change was not mirrored', { error });
    try {
      await this.#revive();
      await this.#need().mirror.repair();
      this.#reason = '';
      return this.#judge(delta, change, failures);
    } catch (thrown) {
      const { code, message } = HeadgateError.from(thrown, 'HG5004');
      this.#reason = message;
      return this.#judge(delta, change, failures).map((verdict) =>
        verdict.programmed
          ? { ...verdict, programmed: false, code, message, haproxy: undefined, transient: true }
          : verdict,
      );
    }
  }

  async #revive(): Promise<void> {
    const { mirror } = this.#need();
    if (mirror.process.alive()) return;
    this.#rim.log.warn('haproxy died and is started again');
    await mirror.start();
    this.#restarts = 0;
  }

  #linger({ lingering }: Change): void {
    if (lingering.length > 0) this.#lingering.push({ routes: lingering, until: this.#rim.clock.now() + LINGER });
  }

  async #watch(): Promise<void> {
    const { clock, log } = this.#rim;
    while (!this.#signal.aborted) {
      const due = Math.min(
        clock.now() + LOOK_EVERY,
        this.#lingering[0]?.until ?? Infinity,
        this.#need().mirror.executor.dueAt ?? Infinity,
      );
      await this.#sleep(Math.max(1, due - clock.now()));
      if (this.#signal.aborted) return;
      try {
        await this.#inTurn(() => this.#tend());
      } catch (thrown) {
        const error = HeadgateError.from(thrown, 'HG5004');
        this.#reason = error.message;
        log.warn('haproxy cannot be mended', { error });
      }
    }
  }

  /** Sleeps until the time is over or something happens. */
  async #sleep(ms: number): Promise<void> {
    try {
      await this.#rim.clock.sleep(ms, AbortSignal.any([this.#signal, this.#wake.signal]));
    } catch {
      this.#wake = new AbortController();
    }
  }

  async #tend(): Promise<void> {
    const { mirror, planner } = this.#need();
    const { clock } = this.#rim;
    const now = clock.now();
    if (!mirror.process.alive()) {
      if (now < this.#restartAt) return;
      this.#restartAt = now + Math.min(RESTART_CAP, RESTART_BASE * 2 ** this.#restarts++);
      await this.#revive();
    } else await mirror.process.refresh();
    if (mirror.isStranger || now - this.#repairedAt >= REPAIR_EVERY) {
      await mirror.repair();
      await mirror.process.trimLog();
      this.#repairedAt = clock.now();
    }
    if ((mirror.executor.dueAt ?? Infinity) <= now) await mirror.executor.deleteDrained();
    for (let next = this.#lingering[0]; next !== undefined && next.until <= now; next = this.#lingering[0]) {
      this.#lingering.shift();
      await mirror.carryOut(planner.forget(next.routes));
    }
    await this.#refill(now);
    this.#reason = '';
  }

  /** One reload while it is quiet spares the next services theirs. */
  async #refill(now: number): Promise<void> {
    const { mirror, planner } = this.#need();
    const { spares } = this.#options;
    const quiet = now - this.#appliedAt >= QUIET;
    if (planner.sparesLeft > (quiet ? spares / 2 : spares / 8)) return;
    await mirror.carryOut(planner.grow(spares - planner.sparesLeft));
  }
}

async function isRunning(folder: string): Promise<boolean> {
  return await showProcesses(join(folder, MASTER_SOCKET)).then(
    ({ worker }) => worker !== undefined,
    () => false,
  );
}

/** Without blank lines, which would end the payload of a runtime command. */
function isNamed(delta: ResourceDelta, { type, name }: ResourceKey): boolean {
  return [...delta.upserts, ...delta.removals].some((one) => one.type === type && one.name === name);
}

function refusedBy({ command, words }: Failure, key: ResourceKey, digest: string): ResourceVerdict {
  const message = `HAProxy refused ${JSON.stringify(command)}`;
  return { key, digest, programmed: false, code: 'HG5003', message, haproxy: words, transient: false };
}

function gatewayPems({ certificate, privateKey, ca }: GatewayCredentials) {
  const lines = ca.split('\n').filter((line) => line.trim() !== '');
  return { gatewayCertificate: combinedPem(certificate, privateKey), gatewayCa: `${lines.join('\n')}\n` };
}

function labelOf({ type, name }: ResourceKey): string {
  return `${type}/${name}`;
}
