import { fullJitter, type Clock } from '../../../../lib/clock.ts';
import { HeadgateError } from '../../../../lib/errors.ts';
import { ApiError, type KubernetesClient } from '../../../../lib/kubernetes/index.ts';
import type { Log } from '../../../../lib/log.ts';
import { TokenBucket } from '../../../../lib/rpc/token-bucket.ts';
import type { ObjectStatuses } from '../../object-statuses.ts';
import { Contests } from './contests.ts';
import { DueKeys } from './due-keys.ts';
import type { PublishedAddresses } from './published-addresses.ts';
import { FIELD_MANAGER, type SeenObject, type SeenObjects } from './seen-objects.ts';
import type { Troubles } from './troubles.ts';
import { wantedOfIngress, wantedOfPolicy, type Wanted } from './wanted-status.ts';

/** What changes together is written once, milliseconds. */
const SETTLE_MS = 200;
const PARALLEL = 8;
const PER_SECOND = 50;
/** Full jitter while the API server fails, milliseconds. */
const BASE_MS = 500;
const CAP_MS = 30_000;
/** Between attempts at an object whose status the API server refuses, milliseconds. */
const REFUSED_MS = 60_000;

export interface StatusWriterOptions {
  readonly client: Pick<KubernetesClient, 'apply'>;
  readonly seen: SeenObjects;
  readonly troubles: Troubles;
  readonly statuses: ObjectStatuses;
  readonly addresses: Pick<PublishedAddresses, 'current'>;
  /** Somebody else writes an object's status over ours again and again. */
  readonly contested: (key: string) => void;
  /** Asked before each write. */
  readonly isHeld: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Writes the status of Ingresses of our class and of policies by server-side apply. An object is compared with what
 * the source's watch last showed, so that nothing is written that stands already; what fails is looked at again.
 */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #due: DueKeys;
  readonly #bucket: TokenBucket;
  readonly #contests: Contests;
  /** Attempts in a row that the API server did not answer well. */
  #failures = 0;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#due = new DueKeys(options.clock);
    this.#bucket = new TokenBucket(options.clock, PER_SECOND, PER_SECOND);
    this.#contests = new Contests(options.clock);
  }

  /** Looks at one object soon. */
  touch(key: string): void {
    this.#due.add(key, SETTLE_MS);
  }

  touchAll(): void {
    for (const key of this.#options.seen.keys()) this.touch(key);
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { seen, troubles } = this.#options;
    using _seen = seen.onChange((key) => this.touch(key));
    using _troubles = troubles.onChange((key) => this.touch(key));
    this.touchAll();
    while (!signal.aborted) {
      const keys = await this.#due.take(PARALLEL, signal);
      await Promise.all(keys.map(async (key) => await this.#look(key, signal)));
    }
  }

  async #look(key: string, signal: AbortSignal): Promise<void> {
    const { seen, contested } = this.#options;
    const object = seen.get(key);
    if (object === undefined) return this.#contests.forget(key);
    const wanted = this.#wanted(key, object);
    if (wanted === undefined) return;
    const waitMs = this.#contests.waitMs(key, wanted, () => contested(key));
    if (waitMs > 0) return this.#due.add(key, waitMs);
    while (!this.#bucket.take()) if (!(await this.#pause(1_000 / PER_SECOND, signal))) return;
    await this.#apply(key, object, wanted, signal);
  }

  #wanted(key: string, object: SeenObject): Wanted | undefined {
    const { troubles, statuses, addresses, clock } = this.#options;
    if (object.resource.kind === 'Ingress') return wantedOfIngress(object, troubles.isOurs(key), addresses.current);
    return wantedOfPolicy(object, troubles.of(key), statuses.all.get(key), clock.wall());
  }

  async #apply(key: string, object: SeenObject, wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { client, seen, isHeld, log } = this.#options;
    const { resource, namespace, name, uid } = object;
    if (!isHeld()) return;
    try {
      // The UID: what was made anew under the same name is another object.
      const body = { metadata: { namespace, name, uid }, ...wanted };
      const options = { fieldManager: FIELD_MANAGER, force: true, subresource: 'status' } as const;
      const answer = await client.apply(resource, body, options, signal);
      this.#failures = 0;
      this.#contests.written(key, wanted);
      seen.upsert(resource, answer);
    } catch (thrown) {
      if (signal.aborted) return;
      const error = HeadgateError.from(thrown);
      const status = error instanceof ApiError ? error.status : undefined;
      // It has gone, and the watch will say so.
      if (status === 404) return;
      if (status === 409) return this.#due.add(key, BASE_MS);
      if (status !== undefined && status < 500 && status !== 429) {
        log.warn('a status was refused', { object: key, error });
        return this.#due.add(key, REFUSED_MS);
      }
      if (this.#failures === 0) log.warn('statuses cannot be written; they will be', { error });
      const asked = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
      const jitter = fullJitter(this.#options.clock, this.#failures++, BASE_MS, CAP_MS);
      this.#due.add(key, Math.min(asked, CAP_MS) + jitter);
      // The others wait with it.
      await this.#pause(Math.min(jitter, BASE_MS * 4), signal);
    }
  }

  /** @returns whether it was not aborted. */
  async #pause(ms: number, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#options.clock.sleep(ms, signal);
      return true;
    } catch {
      return false;
    }
  }
}
