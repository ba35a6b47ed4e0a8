import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { AcceptedDelta, ReceiverSink, Refusal, Resource } from '../../lib/sync/index.ts';
import { Ingress } from '../../proto/gen/headgate/v1/reported.ts';
import { keys, parseReportKey } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import { checkReport } from './check-report.ts';
import { ClusterCopy } from './cluster-copy.ts';
import { type OpenGuard, readOpenGuard } from './guard/open-guard.ts';
import { defaultReportLimits, type ReportLimits, ReportBudget } from './report-limits.ts';
import { judgeShrink } from './guard/shrink-guard.ts';
import { claimsOf, decodeStoredReport } from './stored-report.ts';
import { pack } from '../store/transactions.ts';
import { type CheckedReport, planWrite } from './write-plan.ts';

export interface ReportSinkOptions {
  /** From the TLS identity, never from a message. */
  readonly cluster: string;
  readonly store: Store;
  readonly log: Log;
  /** Uniform in [0, 1): names guards. */
  readonly random: () => number;
  readonly limits?: ReportLimits;
  /** The shrink guard has held removals. */
  readonly onHeld?: (cluster: string) => void;
}

interface MemberCondition {
  readonly key: string;
  readonly createRevision: bigint;
}

/** Times that a delta is planned anew because the store changed under it. */
const ATTEMPTS = 16;

/**
 * What a cluster reports, kept in the store. One per cluster and hub while any of the cluster's streams is
 * open; each stream takes a view of its own.
 */
export class ReportSink {
  readonly #options: ReportSinkOptions;
  readonly #copy: ClusterCopy;
  /** Of every write: once the cluster is removed, what its streams still bring is not stored. */
  readonly #member: MemberCondition;
  #guard: OpenGuard | undefined;
  /** Rises with every accepted delta; a view that has missed one has told its sender a wrong inventory. */
  #version = 0;
  #busy: Promise<unknown> = Promise.resolve();

  private constructor(options: ReportSinkOptions, copy: ClusterCopy, member: MemberCondition) {
    this.#options = options;
    this.#copy = copy;
    this.#member = member;
  }

  /** Loads what the store has of the cluster. */
  static async open(options: ReportSinkOptions): Promise<ReportSink> {
    const { store, cluster, log } = options;
    const copy = new ClusterCopy();
    const member = await memberCondition(store, cluster);
    for (const entry of (await store.range(keys.reportPrefix(cluster))).entries) {
      const key = parseReportKey(entry.key);
      if (key === undefined) continue;
      try {
        const stored = decodeStoredReport(key.type, key.name, entry);
        // Not judged anew: what was accepted once stands, whatever a later release thinks of it.
        copy.set(stored.resource, key.type === 'ingress' ? Ingress.decode(stored.resource.body) : undefined);
      } catch (thrown) {
        // Left out of the inventory, so the agent sends it again and it is replaced.
        log.warn('stored report is not usable', { cluster, key: entry.key, error: HeadgateError.from(thrown) });
      }
    }
    return new ReportSink(options, copy, member);
  }

  /**
   * For one stream, once nothing is being accepted. Its accepts fail with HG3004 when another stream of the
   * cluster has written meanwhile.
   */
  async view(): Promise<ReceiverSink> {
    await this.#busy;
    let version = this.#version;
    return {
      inventory: this.#copy.inventory,
      // Reports have no epoch: a restarted agent counts anew, and who speaks is the speaker register's.
      held: () => undefined,
      accept: (delta) =>
        this.#alone(async () => {
          if (version !== this.#version)
            throw new HeadgateError('HG3004', `another stream of cluster ${this.#options.cluster} has reported`);
          this.#version += 1;
          const refusals = await this.#accept(delta);
          // Not after a failure: what the store has is then not known here, and the stream starts over.
          version = this.#version;
          return refusals;
        }),
    };
  }

  async #alone<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#busy.then(run);
    this.#busy = turn.catch(() => undefined);
    return await turn;
  }

  async #accept(delta: AcceptedDelta): Promise<readonly Refusal[]> {
    const { store, cluster, log, random, onHeld } = this.#options;
    const newGuardId = `${cluster}-${Math.floor(random() * 0x1_0000_0000)
      .toString(16)
      .padStart(8, '0')}`;
    const removed = new Set(delta.removals.map(({ type, name }) => `${type}/${name}`));
    // Only what is there by exactly this type and name: a removal's words are not checked otherwise.
    const removals = delta.removals.filter(({ type, name }) => this.#copy.inventory.get(type, name) !== undefined);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      this.#guard = await readOpenGuard(store, cluster, this.#guard);
      const { upserts, refusals } = this.#screen(
        delta.upserts.filter((one) => !removed.has(`${one.type}/${one.name}`)),
        delta,
      );
      const written = new Map<string, ReadonlySet<string>>();
      for (const { ingress, resource } of upserts)
        if (ingress !== undefined) written.set(resource.name, claimsOf(ingress));
      const emptySnapshot = delta.endOfSnapshot && this.#isEmptied(upserts, removed);
      const shrink = judgeShrink({
        copy: this.#copy,
        held: this.#guard?.claims ?? new Set(),
        written,
        removed: removals.filter(({ type }) => type === 'ingress').map(({ name }) => name),
        emptySnapshot,
      });
      const plan = await planWrite({
        store,
        cluster,
        upserts,
        removals,
        guard: this.#guard,
        shrink,
        newGuardId,
        emptySnapshot,
      });
      // Queued in one turn, so they share one commit where the store can do that.
      const commits = await Promise.all(
        pack(plan.units, [this.#member]).map((transaction) => store.transact(transaction)),
      );
      if (!commits.every(({ committed }) => committed)) {
        if ((await memberCondition(store, cluster)).createRevision !== this.#member.createRevision)
          throw new HeadgateError('HG2006', `cluster ${cluster} was removed from the fleet or joined anew`);
        continue;
      }

      if (shrink.trips) {
        const { gone, before } = shrink.count();
        const guard = this.#guard?.record.id ?? newGuardId;
        log.warn('shrink guard holds removals', { cluster, guard, routes: gone, of: before });
        onHeld?.(cluster);
      }
      const refused = new Set(plan.refusals.map(({ type, name }) => `${type}/${name}`));
      for (const { resource, ingress } of upserts)
        if (!refused.has(`${resource.type}/${resource.name}`)) this.#copy.set(resource, ingress);
      for (const key of removals) this.#copy.delete(key);
      return [...refusals, ...plan.refusals];
    }
    throw new HeadgateError('HG4001', `the store changed under a report of ${cluster} ${ATTEMPTS} times`);
  }

  /** Whether nothing that comes from the cluster's own objects is left. */
  #isEmptied(upserts: readonly CheckedReport[], removed: ReadonlySet<string>): boolean {
    const sources = ['ingress', 'service', 'policy', 'certificate'];
    if (upserts.some(({ resource }) => sources.includes(resource.type))) return false;
    return sources.every((type) => {
      for (const { name } of this.#copy.inventory.ofType(type)) if (!removed.has(`${type}/${name}`)) return false;
      return true;
    });
  }

  /** Parts what may be stored from what is refused by name. */
  #screen(
    received: readonly Resource[],
    { removals }: AcceptedDelta,
  ): { upserts: CheckedReport[]; refusals: Refusal[] } {
    const upserts = new Map<string, CheckedReport>();
    const refusals: Refusal[] = [];
    const budget = new ReportBudget(this.#copy, this.#guard?.totals, this.#options.limits ?? defaultReportLimits);
    for (const key of removals) budget.leave(key);
    for (const resource of received) {
      const { type, name, digest } = resource;
      try {
        const ingress = checkReport(resource);
        budget.enter(resource);
        upserts.set(`${type}/${name}`, { resource, ingress });
      } catch (thrown) {
        refusals.push({ type, name, digest, error: HeadgateError.from(thrown) });
      }
    }
    return { upserts: [...upserts.values()], refusals };
  }
}

/** Holds while the cluster is the member that it is now. */
async function memberCondition(store: Store, cluster: string): Promise<MemberCondition> {
  const key = keys.cluster(cluster);
  return { key, createRevision: (await store.get(key))?.createRevision ?? 0n };
}
