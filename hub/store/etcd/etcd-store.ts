import type { IRangeResponse, ITxnResponse } from 'etcd3';
import type { Clock } from '../../../lib/clock.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import type { Log } from '../../../lib/log.ts';
import type { Epoch } from '../../../lib/sync/index.ts';
import { checkTransaction } from '../check.ts';
import type { Commit, Entry, Lease, Page, Store, Transaction, WatchBatch } from '../store.ts';
import { EtcdLease } from './etcd-lease.ts';
import { claimPrefix, readEpoch, writeNextEpoch } from './marks.ts';
import { Members } from './members.ts';
import type { EtcdSettings } from './settings.ts';
import { readWatch } from './watch.ts';
import { endOf, Layout } from './wire.ts';

export interface EtcdStoreOptions {
  readonly settings: EtcdSettings;
  readonly clock: Clock;
  readonly log: Log;
}

/** Keys of a listing that are asked for at once; each may hold 1 MiB. */
const PAGE = 500;
/** Times that a listing is begun anew because etcd has compacted the revision that it shows. */
const LISTINGS = 5;

/**
 * Opens the store of any number of hubs. etcd is asked for with quorum throughout; a write that fails was not
 * acknowledged, and may have been made.
 *
 * @throws HeadgateError HG4001 where etcd is not there, HG2005 and HG2006 about the credentials, HG2003 where the
 * prefix is not this fleet's, HG4003 where it is damaged
 */
export async function openEtcdStore({ settings, clock, log }: EtcdStoreOptions): Promise<Store> {
  const layout = new Layout(settings.prefix);
  const members = new Members(settings, layout.format, clock);
  try {
    await claimPrefix(members, layout);
  } catch (thrown) {
    members[Symbol.dispose]();
    throw thrown;
  }
  return new EtcdStore(members, layout, clock, log);
}

class EtcdStore implements Store {
  readonly #members: Members;
  readonly #layout: Layout;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #leases = new Set<EtcdLease>();
  readonly #closed = new AbortController();

  constructor(members: Members, layout: Layout, clock: Clock, log: Log) {
    this.#members = members;
    this.#layout = layout;
    this.#clock = clock;
    this.#log = log;
  }

  async epoch(): Promise<Epoch> {
    this.#assertOpen();
    return (await readEpoch(this.#members, this.#layout)).epoch;
  }

  async renewEpoch(): Promise<Epoch> {
    this.#assertOpen();
    const epoch = await writeNextEpoch(this.#members, this.#layout);
    this.#log.warn('store epoch renewed', { epoch: epoch.counter });
    return epoch;
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#assertOpen();
    const { kvs } = await this.#range({ key: this.#layout.key(key) });
    return kvs[0] === undefined ? undefined : this.#layout.entry(kvs[0]);
  }

  async range(prefix: string): Promise<Page> {
    this.#assertOpen();
    for (let listing = 1; ; listing++) {
      try {
        return await this.#list(prefix);
      } catch (thrown) {
        if (listing === LISTINGS || HeadgateError.from(thrown).code !== 'HG4002') throw thrown;
      }
    }
  }

  async transact(transaction: Transaction): Promise<Commit> {
    this.#assertOpen();
    checkTransaction(transaction);
    const { conditions = [], operations } = transaction;
    for (const operation of operations)
      if (operation.kind === 'put' && operation.lease?.lost.aborted === true)
        throw new HeadgateError('HG4001', `cannot write '${operation.key}': its lease has ended`);
    const request = {
      compare: conditions.map((condition) => this.#layout.compare(condition)),
      success: operations.map((operation) => this.#layout.operation(operation)),
    };
    const { succeeded, header } = await this.#members.write('write the store', async (member, deadline) =>
      member.call<ITxnResponse>('KV', 'txn', request, deadline),
    );
    return succeeded ? { committed: true, revision: BigInt(header.revision) } : { committed: false };
  }

  async *watch(prefix: string, fromRevision: bigint, signal: AbortSignal): AsyncGenerator<WatchBatch> {
    if (signal.aborted) return;
    const closed = this.#closed.signal;
    if (closed.aborted) throw new HeadgateError('HG4002', 'the store was closed');
    const { stream, revision } = await this.#openWatch();
    // A watch of what is to come would wait in silence for a history that was restored to grow that long.
    if (revision < fromRevision) {
      stream.cancel();
      throw new HeadgateError('HG4002', `etcd is at revision ${revision}, behind ${fromRevision}; list again`);
    }
    const either = AbortSignal.any([signal, closed]);
    yield* readWatch(stream, { layout: this.#layout, prefix, fromRevision, revision, signal: either });
    if (!signal.aborted) throw new HeadgateError('HG4002', 'the store was closed');
  }

  async lease(ttl: number): Promise<Lease> {
    this.#assertOpen();
    if (!(ttl > 0)) throw new HeadgateError('HG9001', `a lease's time to live is ${ttl} ms`);
    const lease = await EtcdLease.grant(this.#members, this.#clock, ttl);
    this.#leases.add(lease);
    lease.lost.addEventListener('abort', () => this.#leases.delete(lease), { once: true });
    return lease;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const ended = await Promise.allSettled([...this.#leases].map(async (lease) => await lease[Symbol.asyncDispose]()));
    for (const one of ended)
      if (one.status === 'rejected') this.#log.warn('a lease is left to run out', { error: one.reason });
    this.#closed.abort();
    this.#members[Symbol.dispose]();
  }

  async #openWatch() {
    try {
      // Read first: it tells what has happened, and renews what the stream is authorised by.
      const { revision } = await readEpoch(this.#members, this.#layout);
      const stream = await this.#members.read('watch the store', async (member) => await member.watch());
      // Until somebody reads it.
      stream.on('error', () => undefined);
      return { stream, revision };
    } catch (cause) {
      throw new HeadgateError('HG4002', HeadgateError.from(cause).message, { cause });
    }
  }

  async #list(prefix: string): Promise<Page> {
    const start = this.#layout.key(prefix);
    const range_end = endOf(start);
    const entries: Entry[] = [];
    let key = start;
    let revision = '0';
    for (;;) {
      const page = await this.#range({ key, range_end, limit: PAGE, revision });
      if (revision === '0') revision = page.header.revision;
      for (const kv of page.kvs) entries.push(this.#layout.entry(kv));
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return { entries, revision: BigInt(revision) };
      key = Buffer.concat([last.key, Buffer.of(0)]);
    }
  }

  async #range(request: object): Promise<IRangeResponse> {
    return await this.#members.read('read the store', async (member, deadline) =>
      member.call<IRangeResponse>('KV', 'range', request, deadline),
    );
  }

  #assertOpen(): void {
    if (this.#closed.signal.aborted) throw new HeadgateError('HG4001', 'the store is closed');
  }
}
