import { unlessAborted } from '../../../../lib/aborted.ts';
import type { Clock } from '../../../../lib/clock.ts';
import { HeadgateError } from '../../../../lib/errors.ts';
import { ApiError, resources, type KubernetesClient, type ObjectName } from '../../../../lib/kubernetes/index.ts';
import type { Log } from '../../../../lib/log.ts';
import { microTime } from '../micro-time.ts';
import { leaseObject, leaseRecord, type LeaseRecord } from './lease-record.ts';

/** A holder that was not heard for so long has lost the Lease. */
const DURATION_SECONDS = 10;
const RENEW_MS = 2_000;
/**
 * Since the last renewal was sent: then the holder ends what it does. The others wait for DURATION from when they saw
 * that renewal, which is later, so two seconds at least are left to end in.
 */
const DEADLINE_MS = 8_000;
/** Between two looks of whoever waits for the Lease, and between attempts to renew that failed. */
const RETRY_MS = 1_000;
const RELEASE_MS = 2_000;

/** The time in which this replica speaks for the cluster. */
export interface Term {
  /** Rises with every term of any replica: the higher one wins wherever two meet. */
  readonly number: bigint;
  /** Aborts when the term is over. */
  readonly signal: AbortSignal;
  /** By the clock: a process that was stopped learns so before its timers run. */
  readonly isHeld: () => boolean;
}

export interface ElectionOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'create' | 'replace'>;
  readonly lease: ObjectName;
  /** This process and no other, also not an earlier one of the same pod. */
  readonly holder: string;
  /** What only the elected replica does; returns when the term's signal aborts. */
  readonly lead: (term: Term) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

interface Held {
  record: LeaseRecord;
  /** Of the last renewal that the API server took: when it was sent. */
  sentAt: number;
}

/**
 * Elects one of several replicas by a Lease. Every write names the version that it replaces, so that of two only one
 * succeeds. Whether a holder lives is judged by when this process saw its record change: clocks may differ.
 */
export class Election {
  readonly #options: ElectionOptions;
  readonly #log: Log;
  #seen: { readonly resourceVersion: string; readonly at: number } | undefined;
  /** The highest term that was seen: a Lease that somebody deletes does not start over. */
  #transitions = 0;
  #trouble: string | undefined;

  constructor(options: ElectionOptions) {
    this.#options = options;
    const { namespace, name } = options.lease;
    this.#log = options.log.with({ lease: `${namespace}/${name}` });
  }

  /** Resolves when the signal aborts, the Lease given up. Rejects with what `lead` throws. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const held = await this.#acquire(signal);
      if (held !== undefined) await this.#hold(held, signal);
    }
  }

  /** @returns undefined when aborted. */
  async #acquire(signal: AbortSignal): Promise<Held | undefined> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      try {
        const held = await this.#tryAcquire(signal);
        this.#trouble = undefined;
        if (held !== undefined) return held;
      } catch (thrown) {
        if (signal.aborted) return undefined;
        this.#unwell(HeadgateError.from(thrown));
      }
      // Replicas that start together do not go on together.
      await pause(clock, RETRY_MS * (0.8 + 0.4 * clock.random()), signal);
    }
    return undefined;
  }

  async #tryAcquire(signal: AbortSignal): Promise<Held | undefined> {
    const { client, lease, clock, holder } = this.#options;
    let found: LeaseRecord;
    try {
      found = leaseRecord(await client.get(resources.leases, lease, signal));
    } catch (thrown) {
      if (thrown instanceof ApiError && thrown.status === 404) return await this.#write(undefined, signal);
      throw thrown;
    }
    this.#transitions = Math.max(this.#transitions, found.transitions);
    if (this.#seen?.resourceVersion !== found.resourceVersion) {
      this.#seen = { resourceVersion: found.resourceVersion, at: clock.now() };
    }
    const isFree = found.holder === '' || found.holder === holder;
    if (!isFree && clock.now() - this.#seen.at < found.durationMs) return undefined;
    return await this.#write(found, signal);
  }

  /** Takes the Lease. @returns undefined where somebody else was faster. */
  async #write(before: LeaseRecord | undefined, signal: AbortSignal): Promise<Held | undefined> {
    const { client, lease, clock, holder } = this.#options;
    const sentAt = clock.now();
    const now = microTime(clock.wall());
    const transitions = this.#transitions + 1;
    const holding = { holder, durationSeconds: DURATION_SECONDS, transitions, acquired: now, renewed: now };
    const object = leaseObject(lease, holding, before?.resourceVersion);
    try {
      const written = await (before === undefined
        ? client.create(resources.leases, object, signal)
        : client.replace(resources.leases, object, signal));
      this.#transitions = transitions;
      return { record: leaseRecord(written), sentAt };
    } catch (thrown) {
      if (thrown instanceof ApiError && thrown.status === 409) return undefined;
      throw thrown;
    }
  }

  async #hold(held: Held, signal: AbortSignal): Promise<void> {
    const { clock, lead } = this.#options;
    const over = new AbortController();
    const isHeld = (): boolean => !over.signal.aborted && clock.now() - held.sentAt < DEADLINE_MS;
    this.#log.info('this replica speaks for the cluster', { term: held.record.transitions });
    const leading = lead({ number: BigInt(held.record.transitions), signal: over.signal, isHeld });
    // It ends before the term only by failing.
    const failed = new AbortController();
    leading.catch(() => failed.abort());
    const until = AbortSignal.any([signal, failed.signal]);
    let isOurs = true;
    try {
      while (isOurs && isHeld() && !until.aborted) {
        const left = DEADLINE_MS - (clock.now() - held.sentAt);
        await pause(clock, Math.min(RENEW_MS, left), until);
        if (!until.aborted && isHeld()) isOurs = await this.#renew(held, until);
      }
    } finally {
      over.abort();
      if (!until.aborted) this.#log.warn('this replica does not speak for the cluster any more', { lost: !isOurs });
      // Whoever comes next finds nobody here.
      try {
        await leading;
      } finally {
        if (until.aborted) await this.#release(held);
      }
    }
  }

  /** @returns whether the Lease is still ours; a failure leaves that open until the deadline. */
  async #renew(held: Held, signal: AbortSignal): Promise<boolean> {
    const { client, lease, clock, holder } = this.#options;
    const sentAt = clock.now();
    using late = new Timeout(clock, DEADLINE_MS - (sentAt - held.sentAt));
    const either = AbortSignal.any([signal, late.signal]);
    const { transitions, acquired, resourceVersion } = held.record;
    const now = microTime(clock.wall());
    const holding = { holder, durationSeconds: DURATION_SECONDS, transitions, acquired: acquired ?? now, renewed: now };
    try {
      const written = await unlessAborted(
        client.replace(resources.leases, leaseObject(lease, holding, resourceVersion), either),
        either,
      );
      held.record = leaseRecord(written);
      held.sentAt = sentAt;
      this.#trouble = undefined;
      return true;
    } catch (thrown) {
      if (either.aborted) return true;
      if (thrown instanceof ApiError && thrown.status === 404) return false;
      if (thrown instanceof ApiError && thrown.status === 409) return await this.#readAgain(held, either);
      this.#unwell(HeadgateError.from(thrown));
      await pause(clock, RETRY_MS / 2, either);
      return true;
    }
  }

  /** Somebody wrote the Lease: a label, or an attempt of ours whose answer was lost, or another replica took it. */
  async #readAgain(held: Held, signal: AbortSignal): Promise<boolean> {
    const { client, lease, holder } = this.#options;
    try {
      const found = leaseRecord(await unlessAborted(client.get(resources.leases, lease, signal), signal));
      if (found.holder !== holder || found.transitions !== held.record.transitions) return false;
      held.record = found;
      return true;
    } catch (thrown) {
      return !(thrown instanceof ApiError && thrown.status === 404);
    }
  }

  /** So that another replica need not wait for it to run out. Best effort: it does run out. */
  async #release({ record: { transitions, acquired, resourceVersion } }: Held): Promise<void> {
    const { client, lease, clock } = this.#options;
    using late = new Timeout(clock, RELEASE_MS);
    const now = microTime(clock.wall());
    const holding = { holder: '', durationSeconds: 1, transitions, acquired: acquired ?? now, renewed: now };
    try {
      await client.replace(resources.leases, leaseObject(lease, holding, resourceVersion), late.signal);
    } catch (error) {
      this.#log.debug('the Lease was not given up and will run out', { error });
    }
  }

  /** Once for each thing that is wrong. */
  #unwell(error: HeadgateError): void {
    const trouble = error instanceof ApiError ? String(error.status) : error.code;
    if (this.#trouble === trouble) return;
    this.#trouble = trouble;
    this.#log.warn('the Lease cannot be read or written', { error });
  }
}

/** A signal that aborts after a time. */
class Timeout implements Disposable {
  readonly #late = new AbortController();
  readonly #done = new AbortController();

  constructor(clock: Clock, ms: number) {
    clock.sleep(ms, this.#done.signal).then(
      () => this.#late.abort(new HeadgateError('HG3001', `no answer within ${Math.round(ms)} ms`)),
      () => undefined,
    );
  }

  get signal(): AbortSignal {
    return this.#late.signal;
  }

  [Symbol.dispose](): void {
    this.#done.abort();
  }
}

async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal);
  } catch {
    // aborted
  }
}
