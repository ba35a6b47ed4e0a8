import { microTime } from '../micro-time.ts';
import { hash } from 'node:crypto';
import { fullJitter, type Clock } from '../../../../lib/clock.ts';
import { HeadgateError } from '../../../../lib/errors.ts';
import { ApiError, resources, type KubernetesClient } from '../../../../lib/kubernetes/index.ts';
import type { Log } from '../../../../lib/log.ts';
import { printable } from '../../../../lib/printable.ts';
import { TokenBucket } from '../../../../lib/rpc/token-bucket.ts';
import { Wakeup } from '../../wakeup.ts';
import type { SeenObject } from '../status/seen-objects.ts';

/** The API's limits. */
const LONGEST_NOTE = 1_024;
const LONGEST_NAME = 253;
/** The same Event is told once in so long, milliseconds. */
const QUIET_MS = 600_000;
/** About one object: a few at once, then one a minute. */
const PER_OBJECT_PER_SECOND = 1 / 60;
const PER_OBJECT_BURST = 10;
const PER_SECOND = 10;
const BURST = 50;
/** That wait to be sent; what comes beyond is not told. */
const MOST_WAITING = 1_000;
/** Full jitter while the API server fails, milliseconds. */
const BASE_MS = 500;
const CAP_MS = 30_000;
/** Objects of which is kept how much was told. */
const MOST_OBJECTS = 4_096;

const CONTROLLER = 'headgate.dev/agent';
const FIELD_MANAGER = 'headgate';

export interface ObjectEvent {
  readonly regarding: SeenObject;
  readonly type: 'Normal' | 'Warning';
  /** In UpperCamelCase. */
  readonly reason: string;
  /** What was being done; in UpperCamelCase. */
  readonly action: string;
  readonly note: string;
}

export interface EventRecorderOptions {
  readonly client: Pick<KubernetesClient, 'create' | 'apply'>;
  /** This process. */
  readonly instance: string;
  readonly isHeld: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Tells what happened to objects as Events of events.k8s.io/v1. An Event's name says what it says, so that the same one
 * is never there twice: told again after a while it becomes a series, whichever replica tells it.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #wakeup: Wakeup;
  readonly #bucket: TokenBucket;
  readonly #waiting = new Map<string, ObjectEvent>();
  /** By name: when it was last told, and how often. In the order of telling. */
  readonly #told = new Map<string, { readonly at: number; readonly count: number }>();
  readonly #perObject = new Map<string, TokenBucket>();
  #failures = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#wakeup = new Wakeup(options.clock);
    this.#bucket = new TokenBucket(options.clock, PER_SECOND, BURST);
  }

  record(event: ObjectEvent): void {
    const { clock, log } = this.#options;
    const name = nameOf(event);
    const now = clock.now();
    const told = this.#told.get(name);
    if (this.#waiting.has(name) || (told !== undefined && now - told.at < QUIET_MS)) return;
    if (this.#waiting.size >= MOST_WAITING || !this.#ofObject(event.regarding.uid).take()) {
      log.debug('an Event was not told, there are too many', { event: name });
      return;
    }
    this.#waiting.set(name, event);
    this.#wakeup.wake();
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const [next] = this.#waiting;
      if (next === undefined) await this.#wakeup.wait(QUIET_MS, signal);
      else if (this.#bucket.take()) await this.#send(...next, signal);
      else await this.#pause(1_000 / PER_SECOND, signal);
    }
  }

  #ofObject(uid: string): TokenBucket {
    const known = this.#perObject.get(uid);
    if (known !== undefined) return known;
    if (this.#perObject.size >= MOST_OBJECTS) this.#perObject.clear();
    const bucket = new TokenBucket(this.#options.clock, PER_OBJECT_PER_SECOND, PER_OBJECT_BURST);
    this.#perObject.set(uid, bucket);
    return bucket;
  }

  async #send(name: string, event: ObjectEvent, signal: AbortSignal): Promise<void> {
    const { client, isHeld, clock, log } = this.#options;
    if (!isHeld()) return void this.#waiting.delete(name);
    const count = (this.#told.get(name)?.count ?? 0) + 1;
    try {
      try {
        await client.create(resources.events, this.#object(name, event), signal);
      } catch (thrown) {
        if (!(thrown instanceof ApiError) || thrown.status !== 409) throw thrown;
        // It was told before: by this replica and is news again, or by one that led earlier and is not.
        if (count > 1) await this.#repeat(name, event, count, signal);
      }
      this.#failures = 0;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = HeadgateError.from(thrown);
      const isRefusal = error instanceof ApiError && error.status < 500 && error.status !== 429;
      if (!isRefusal) {
        await this.#pause(fullJitter(clock, this.#failures++, BASE_MS, CAP_MS), signal);
        return;
      }
      log.warn('an Event was refused', { event: name, error });
    }
    this.#waiting.delete(name);
    this.#told.delete(name);
    this.#told.set(name, { at: clock.now(), count });
    for (const [old, { at }] of this.#told) {
      // Counts are kept for as long as the API server keeps Events, an hour.
      if (clock.now() - at < 6 * QUIET_MS && this.#told.size <= MOST_OBJECTS) break;
      this.#told.delete(old);
    }
  }

  async #repeat(name: string, { regarding }: ObjectEvent, count: number, signal: AbortSignal): Promise<void> {
    const { client, clock } = this.#options;
    const series = { count, lastObservedTime: microTime(clock.wall()) };
    const object = { metadata: { namespace: namespaceOf(regarding), name }, series };
    await client.apply(resources.events, object, { fieldManager: FIELD_MANAGER, force: true }, signal);
  }

  #object(name: string, { regarding, type, reason, action, note }: ObjectEvent) {
    const { resource, namespace, uid, resourceVersion } = regarding;
    const { group, version, kind } = resource;
    return {
      metadata: { namespace: namespaceOf(regarding), name },
      eventTime: microTime(this.#options.clock.wall()),
      reportingController: CONTROLLER,
      reportingInstance: this.#options.instance.slice(0, 128),
      regarding: {
        apiVersion: group === '' ? version : `${group}/${version}`,
        kind,
        namespace,
        name: regarding.name,
        uid,
        resourceVersion,
      },
      type,
      reason,
      action,
      note: capped(printable(note)),
    };
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.clock.sleep(ms, signal);
    } catch {
      // aborted
    }
  }
}

function nameOf({ regarding, reason, note }: ObjectEvent): string {
  const says = hash('sha256', [regarding.uid, reason, note].join('\0'), 'hex').slice(0, 16);
  // A name may end in a letter or digit only.
  const stem = regarding.name.slice(0, LONGEST_NAME - says.length - 1).replace(/[^a-z0-9]+$/, '');
  return `${stem}.${says}`;
}

/** Events about what has no namespace are in `default`. */
function namespaceOf({ namespace }: SeenObject): string {
  return namespace === '' ? 'default' : namespace;
}

/** In bytes, at the end of a character. */
function capped(note: string): string {
  if (Buffer.byteLength(note) < LONGEST_NOTE) return note;
  const cut = Buffer.from(note)
    .subarray(0, LONGEST_NOTE - 4)
    .toString()
    .replace(/\ufffd+$/, '');
  return `${cut}…`;
}
