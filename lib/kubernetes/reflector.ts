import { fullJitter, type Clock } from '../clock.ts';
import { HeadgateError } from '../errors.ts';
import type { Log } from '../log.ts';
import { ApiError } from './api-error.ts';
import type { KubernetesClient, WatchEvent } from './kubernetes-client.ts';
import type { RelistReason } from './metrics.ts';
import { kubernetesObject, titleOf, type ApiResource, type KubernetesObject, type ObjectName } from './resource.ts';

/** What a reflector tells, synchronously and in order. What it throws is logged, and stops nothing. */
export interface Reflected {
  /** Is there, or changed. Not kept by the reflector: whoever needs the object keeps what it needs of it. */
  upsert(object: KubernetesObject): void;
  /** Seen to go: by an event, or missing from a complete list. */
  remove(name: ObjectName): void;
  /** Everything there is has been told. Comes after each complete list. */
  synced(): void;
  /** It cannot look, and what it told stays; undefined when it can again. */
  trouble?(error: HeadgateError | undefined): void;
}

export interface ReflectorOptions {
  readonly client: KubernetesClient;
  readonly resource: ApiResource;
  /** Every namespace when absent. */
  readonly namespace?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly reflected: Reflected;
  /** For a kind that may not be installed: waits until it may be. Without it a kind that is not there is a failure. */
  readonly untilServed?: ((signal: AbortSignal) => Promise<void>) | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Milliseconds without a byte after which a watch counts as dead. */
  readonly idleMs?: number;
}

const PAGE = 500;
/** Full jitter, milliseconds. */
const BASE_MS = 500;
const CAP_MS = 30_000;
/** A kind that is not served any more counts as empty only when it was missing for so long, milliseconds. */
const GONE_MS = 30_000;
/** Watches that fail in a row from one version before it is listed anew. */
const MOST_FAILURES = 3;

/**
 * Follows one kind (or what a selector leaves of it): lists it page by page, then watches from the list's version, and
 * goes on from the last version it heard of when a watch ends. A version that the server no longer has means listing
 * anew; what is then missing of what was told has gone. It never ends by itself, and a gap never looks like a deletion.
 */
export class Reflector {
  readonly #options: ReflectorOptions;
  readonly #log: Log;
  /** What was told: the version of each object, by `<namespace>/<name>`. */
  readonly #told = new Map<string, string>();
  /** From which a watch goes on; undefined when it must list first. */
  #version: string | undefined;
  #relist: RelistReason = 'start';
  /** In a row; sets the back-off. */
  #failures = 0;
  #missingSince: number | undefined;
  #expired = Number.NEGATIVE_INFINITY;
  #trouble: string | undefined;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#log = options.log.with({ resource: titleOf(options.resource, { namespace: options.namespace }) });
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#version === undefined) this.#version = await this.#list(signal);
        await this.#watch(this.#version, signal);
      } catch (thrown) {
        if (signal.aborted) return;
        await this.#recover(HeadgateError.from(thrown), signal);
      }
    }
  }

  /** @returns the version of the list. */
  async #list(signal: AbortSignal): Promise<string> {
    const { client, resource, namespace, fieldSelector, reflected } = this.#options;
    client.metrics?.listed(resource.plural, this.#relist);
    const seen = new Set<string>();
    const list = { namespace, fieldSelector, limit: PAGE };
    let page = await client.list(resource, list, signal);
    for (;;) {
      for (const item of page.items) {
        const object = this.#named(item);
        if (object === undefined) continue;
        seen.add(keyOf(object));
        this.#upsert(object);
      }
      if (page.continue === '') break;
      page = await client.list(resource, { ...list, continue: page.continue }, signal);
    }
    for (const key of this.#told.keys()) if (!seen.has(key)) this.#remove(key);
    this.#well();
    this.#call(() => reflected.synced());
    return page.resourceVersion;
  }

  async #watch(from: string, signal: AbortSignal): Promise<void> {
    const { client, resource, namespace, fieldSelector, clock, idleMs } = this.#options;
    const started = clock.now();
    const options = { namespace, fieldSelector, resourceVersion: from, ...(idleMs === undefined ? {} : { idleMs }) };
    for await (const events of client.watch(resource, options, signal)) {
      for (const event of events) this.#apply(event);
      if (events.length > 0) this.#well();
    }
    client.metrics?.restarted(resource.plural, 'closed');
    // A server that ends watches as soon as they begin is not asked at full speed.
    if (clock.now() - started < BASE_MS)
      await this.#pause(fullJitter(clock, this.#failures++, BASE_MS, CAP_MS), signal);
  }

  #apply(event: WatchEvent): void {
    if (event.type === 'BOOKMARK') {
      this.#version = event.resourceVersion;
      return;
    }
    const { object } = event;
    if (event.type === 'DELETED') this.#remove(keyOf(object));
    else this.#upsert(object);
    this.#version = object.metadata.resourceVersion ?? this.#version;
  }

  #upsert(object: KubernetesObject): void {
    const key = keyOf(object);
    const version = `${object.metadata.uid ?? ''} ${object.metadata.resourceVersion ?? ''}`;
    // A list after a gap is mostly what was known.
    if (this.#told.get(key) === version) return;
    this.#told.set(key, version);
    this.#call(() => this.#options.reflected.upsert(object));
  }

  #remove(key: string): void {
    if (!this.#told.delete(key)) return;
    const slash = key.indexOf('/');
    this.#call(() => this.#options.reflected.remove({ namespace: key.slice(0, slash), name: key.slice(slash + 1) }));
  }

  /** Waits as long as the failure asks for, and decides from where to go on. */
  async #recover(error: HeadgateError, signal: AbortSignal): Promise<void> {
    const { client, resource, clock, untilServed } = this.#options;
    const wasWatching = this.#version !== undefined;
    const status = error instanceof ApiError ? error.status : undefined;
    if (status === 404 && untilServed !== undefined) return await this.#notServed(untilServed, signal);
    this.#missingSince = undefined;
    if (status === 410) {
      // At once, unless it just did: a server whose versions expire all the time is not asked at full speed.
      this.#listAnew('expired');
      const isRepeated = clock.now() - this.#expired < CAP_MS;
      this.#expired = clock.now();
      if (wasWatching && !isRepeated) return;
    } else if (error.code === 'HG3005' && wasWatching) {
      // No bookmark either: perhaps the server waits for a version that it will never see.
      this.#listAnew('idle');
    } else if (wasWatching) {
      if (this.#failures >= MOST_FAILURES) this.#listAnew('failed');
      client.metrics?.restarted(resource.plural, error instanceof ApiError ? 'refused' : 'broken');
    }
    this.#unwell(error);
    const asked = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
    const jitter = fullJitter(clock, this.#failures, BASE_MS, CAP_MS);
    this.#failures++;
    await this.#pause(Math.min(asked, CAP_MS) + jitter, signal);
  }

  async #notServed(untilServed: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { reflected, clock } = this.#options;
    const now = clock.now();
    this.#missingSince ??= now;
    this.#listAnew('start');
    if (this.#told.size > 0 && now - this.#missingSince < GONE_MS) {
      return await this.#pause(fullJitter(clock, this.#failures++, BASE_MS, GONE_MS / 4), signal);
    }
    for (const key of this.#told.keys()) this.#remove(key);
    this.#well();
    this.#call(() => reflected.synced());
    try {
      await untilServed(signal);
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }

  #listAnew(reason: RelistReason): void {
    this.#version = undefined;
    this.#relist = reason;
  }

  #well(): void {
    this.#failures = 0;
    if (this.#trouble === undefined) return;
    this.#trouble = undefined;
    this.#log.info('the API server answers again');
    this.#call(() => this.#options.reflected.trouble?.(undefined));
  }

  /** Told once for each thing that is wrong, and from the second failure on: a link may break at any time. */
  #unwell(error: HeadgateError): void {
    const isRefusal = error instanceof ApiError && error.status < 500 && error.status !== 429;
    if (this.#failures === 0 && !isRefusal) return;
    const trouble = error instanceof ApiError ? String(error.status) : error.code;
    if (this.#trouble === trouble) return;
    this.#trouble = trouble;
    this.#log.warn('the API server cannot be read; what is known stays', { error });
    this.#call(() => this.#options.reflected.trouble?.(error));
  }

  #named(item: unknown): KubernetesObject | undefined {
    try {
      return kubernetesObject(item);
    } catch {
      this.#log.error('an object of a list has no name, and is left out');
      return undefined;
    }
  }

  /** A mistake about one object must not stop the others. */
  #call(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#log.error('an object could not be taken in', { error });
    }
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.clock.sleep(ms, signal);
    } catch {
      // aborted
    }
  }
}

function keyOf({ metadata }: KubernetesObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
