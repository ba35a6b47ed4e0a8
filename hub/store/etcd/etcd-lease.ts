import type { ILeaseGrantResponse, ILeaseKeepAliveResponse } from 'etcd3';
import type { Clock } from '../../../lib/clock.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import type { Lease } from '../store.ts';
import { isPassing, etcdError } from './etcd-error.ts';
import type { Members } from './members.ts';

/** Milliseconds after which a lease that could not be renewed is tried again. */
const RETRY = 500;

/**
 * A lease that this process keeps alive. It is lost for its holder as soon as etcd may have ended it: its time to
 * live has passed since the last renewal that was answered was asked for.
 */
export class EtcdLease implements Lease {
  readonly id: string;
  readonly #members: Members;
  readonly #clock: Clock;
  readonly #lost = new AbortController();
  readonly #ttl: number;
  readonly #keeping: Promise<void>;
  #good: number;

  private constructor(members: Members, clock: Clock, id: string, ttl: number, grantedAt: number) {
    this.#members = members;
    this.#clock = clock;
    this.id = id;
    this.#ttl = ttl;
    this.#good = grantedAt + ttl;
    this.#keeping = this.#keep();
  }

  /** @param ttl milliseconds; etcd counts in whole seconds, and gives at least its election time. */
  static async grant(members: Members, clock: Clock, ttl: number): Promise<EtcdLease> {
    const seconds = Math.ceil(ttl / 1_000).toString();
    const asked = clock.now();
    const { ID, TTL } = await members.write('take a lease', async (member, deadline) =>
      member.call<ILeaseGrantResponse>('Lease', 'leaseGrant', { TTL: seconds }, deadline),
    );
    return new EtcdLease(members, clock, ID, Number(TTL) * 1_000, asked);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#lost.signal.aborted) return await this.#keeping;
    this.#lose('the lease has ended');
    await this.#keeping;
    await this.#members.write('end a lease', async (member, deadline) =>
      member.call('Lease', 'leaseRevoke', { ID: this.id }, deadline),
    );
  }

  async #keep(): Promise<void> {
    const { signal } = this.#lost;
    const expire = (): void => {
      const left = this.#good - this.#clock.now();
      if (left <= 0) this.#lose('the lease was not renewed in time');
      else timer = setTimeout(expire, left);
    };
    let timer = setTimeout(expire, this.#good - this.#clock.now());
    try {
      for (let wait = this.#ttl / 3; !signal.aborted;) {
        await this.#clock.sleep(wait, signal).catch(() => undefined);
        if (signal.aborted) return;
        wait = (await this.#renew()) ? this.#ttl / 3 : RETRY;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whether it was renewed. */
  async #renew(): Promise<boolean> {
    const asked = this.#clock.now();
    try {
      const left = await this.#members.read('renew a lease', async (member, deadline) => {
        const stream = await member.keepAlive(deadline);
        try {
          stream.write({ ID: this.id });
          for await (const answer of stream) return Number((answer satisfies ILeaseKeepAliveResponse).TTL);
          throw new Error('etcd ended the stream');
        } finally {
          stream.cancel();
        }
      });
      if (left > 0) this.#good = asked + this.#ttl;
      else this.#lose('etcd has ended the lease');
      return true;
    } catch (thrown) {
      const error = etcdError(thrown, 'renew a lease');
      if (!isPassing(error)) this.#lose(error.message);
      return false;
    }
  }

  #lose(why: string): void {
    this.#lost.abort(new HeadgateError('HG4001', why));
  }
}
