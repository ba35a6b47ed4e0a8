import { HeadgateError } from '../../lib/errors.ts';
import type { Identity } from '../../lib/identity/identity.ts';
import type { Log } from '../../lib/log.ts';
import { fullJitter, type Clock } from '../../lib/clock.ts';
import { keys } from '../store/keys.ts';
import type { Operation, Page, Store } from '../store/store.ts';
import { isBefore, momentOf, type Moment } from '../../lib/identity/serial.ts';
import { toJson } from './record.ts';
import { decodeRevocation } from './revocation-record.ts';

/** `cluster/<name>`, `node/<cluster>/<node>` or `serial/<hex>`. */
export type Subject = `cluster/${string}` | `node/${string}/${string}` | `serial/${string}`;

export interface RevocationsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The deny list, held in memory and kept fresh by a watch. Revoking a cluster or a node covers every
 * certificate issued up to then, and none issued after.
 */
export class Revocations implements AsyncDisposable {
  readonly #options: RevocationsOptions;
  readonly #stop = new AbortController();
  readonly #listeners = new Set<() => void>();
  #revoked: Map<string, Moment>;
  readonly #following: Promise<void>;

  private constructor(options: RevocationsOptions, page: Page) {
    this.#options = options;
    this.#revoked = read(page);
    this.#following = this.#follow(page.revision);
  }

  static async open(options: RevocationsOptions): Promise<Revocations> {
    return new Revocations(options, await options.store.range(keys.revokedPrefix));
  }

  /**
   * Whether a certificate still counts, by what this hub knows.
   *
   * @param serial the certificate's, hex in either case.
   */
  isRevoked(identity: Identity, serial: string): boolean {
    return covers(this.#revoked, identity, serial);
  }

  /** As `isRevoked`, by what the store holds now; and the moment that this answer is true for. */
  async check(identity: Identity, serial: string): Promise<{ readonly revoked: boolean; readonly at: Moment }> {
    const { store } = this.#options;
    const [page, epoch] = await Promise.all([store.range(keys.revokedPrefix), store.epoch()]);
    return { revoked: covers(read(page), identity, serial), at: { epoch, revision: page.revision } };
  }

  /** Whether a node gets no new certificate, by what the store holds now. */
  async isBarred(cluster: string, node: string): Promise<boolean> {
    const entry = await this.#options.store.get(keys.revoked(`node/${cluster}/${node}`));
    return entry !== undefined && decodeRevocation(entry).barred;
  }

  /** Calls back after each change of the list: live connections are to be checked again. Returns an undo. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Revokes for good; resolves with the revision when committed. Live streams are cut by `onChange` on every hub.
   *
   * @param also operations of the same transaction.
   * @param more whose certificate a serial is; whether a node is kept from new certificates too.
   */
  async revoke(
    subject: Subject,
    also: readonly Operation[] = [],
    more: { readonly cluster?: string; readonly barred?: boolean } = {},
  ): Promise<bigint> {
    const { store } = this.#options;
    const { counter } = await store.epoch();
    const value = toJson({ epoch: counter.toString(), ...more });
    const commit = await store.transact({
      operations: [{ kind: 'put', key: keys.revoked(subject), value }, ...also],
    });
    if (!commit.committed) throw new HeadgateError('HG4001', `the revocation of '${subject}' was not committed`);
    this.#revoked.set(keys.revoked(subject), { epoch: { counter }, revision: commit.revision });
    this.#announce();
    return commit.revision;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  async #follow(revision: bigint): Promise<void> {
    const { store, clock, log } = this.#options;
    const { signal } = this.#stop;
    let from = revision;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        for await (const batch of store.watch(keys.revokedPrefix, from, signal)) {
          attempt = 0;
          from = batch.revision;
          for (const change of batch.changes) {
            if (change.kind === 'put') this.#revoked.set(change.entry.key, decodeRevocation(change.entry).since);
            else this.#revoked.delete(change.key);
          }
          this.#announce();
        }
      } catch (error) {
        if (!signal.aborted) log.warn('lost the watch of revocations; listing again', { error });
      }
      try {
        await clock.sleep(fullJitter(clock, attempt, 100, 2_000), signal);
        const page = await store.range(keys.revokedPrefix);
        this.#revoked = read(page);
        from = page.revision;
        this.#announce();
      } catch (error) {
        if (!signal.aborted) log.error('cannot list revocations', { error });
      }
    }
  }

  #announce(): void {
    for (const listener of this.#listeners) listener();
  }
}

function covers(revoked: ReadonlyMap<string, Moment>, identity: Identity, serial: string): boolean {
  if (revoked.has(keys.revoked(`serial/${serial.toLowerCase()}`))) return true;
  if (identity.kind === 'hub') return false;
  const subjects = [`cluster/${identity.cluster}`];
  if (identity.kind === 'node') subjects.push(`node/${identity.cluster}/${identity.node}`);
  const issued = momentOf(serial);
  return subjects.some((subject) => {
    const since = revoked.get(keys.revoked(subject));
    return since !== undefined && (issued === undefined || isBefore(issued, since));
  });
}

function read(page: Page): Map<string, Moment> {
  return new Map(page.entries.map((entry) => [entry.key, decodeRevocation(entry).since]));
}
