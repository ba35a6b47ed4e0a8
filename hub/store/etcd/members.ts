import type { Clock } from '../../../lib/clock.ts';
import type { HeadgateError } from '../../../lib/errors.ts';
import { etcdError, isPassing, isUnsent } from './etcd-error.ts';
import { Member } from './member.ts';
import type { EtcdSettings } from './settings.ts';

/** Milliseconds in which a call has succeeded or failed: a write fails within 5 s. */
const BUDGET = 4_500;
/** Milliseconds that one member gets to answer a read. */
const PATIENCE = 1_500;
/** Milliseconds between two rounds of asking all members. */
const PAUSE = 100;

/**
 * The members of one etcd cluster. Calls go to one of them until a call fails; then the first that answers a
 * read with quorum is asked from then on.
 */
export class Members implements Disposable {
  readonly #clock: Clock;
  readonly #probe: Buffer;
  readonly #members: readonly Member[];
  #current: Promise<Member> | undefined;
  #closed = false;

  /** @param probe key to read when a member is tried. */
  constructor(settings: EtcdSettings, probe: Buffer, clock: Clock) {
    this.#clock = clock;
    this.#probe = probe;
    this.#members = settings.urls.map((url) => new Member(url, settings));
  }

  /** A call that may be made again, of one member after the other. */
  async read<T>(doing: string, run: (member: Member, deadline: number) => Promise<T>): Promise<T> {
    return await this.#attempts(doing, PATIENCE, isPassing, run);
  }

  /**
   * A call that is made again only where it certainly reached no member. What fails otherwise may have been
   * done all the same.
   */
  async write<T>(doing: string, run: (member: Member, deadline: number) => Promise<T>): Promise<T> {
    return await this.#attempts(doing, BUDGET, isUnsent, run);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const member of this.#members) member[Symbol.dispose]();
  }

  async #attempts<T>(
    doing: string,
    patience: number,
    again: (error: HeadgateError) => boolean,
    run: (member: Member, deadline: number) => Promise<T>,
  ): Promise<T> {
    const end = this.#clock.now() + BUDGET;
    for (;;) {
      const current = (this.#current ??= this.#seek(end));
      let sent = false;
      try {
        const member = await current;
        const left = end - this.#clock.now();
        sent = true;
        return await run(member, Date.now() + Math.max(1, Math.min(patience, left)));
      } catch (thrown) {
        if (this.#current === current) this.#current = undefined;
        const error = etcdError(thrown, doing);
        const mayAgain = sent ? again(error) : isPassing(error);
        if (!mayAgain || this.#closed || this.#clock.now() + PAUSE >= end) throw error;
        await this.#clock.sleep(PAUSE);
      }
    }
  }

  /** The first member that reads with quorum. */
  async #seek(end: number): Promise<Member> {
    const request = { key: this.#probe, keys_only: true };
    const asked = this.#members.map(async (member) => {
      const left = end - this.#clock.now();
      await member.call('KV', 'range', request, Date.now() + Math.max(1, Math.min(PATIENCE, left)));
      return member;
    });
    try {
      return await Promise.any(asked);
    } catch (thrown) {
      // What is wrong with the credentials says more than that another member is away.
      const errors = thrown instanceof AggregateError ? thrown.errors.map((one) => etcdError(one, 'reach etcd')) : [];
      throw errors.find((error) => !isPassing(error)) ?? errors[0] ?? thrown;
    }
  }
}
