import { HeadgateError } from '../../lib/errors.ts';
import type { Resource, ResourceKey } from '../../lib/sync/index.ts';
import type { ClusterCopy } from './cluster-copy.ts';
import { Totals } from './totals.ts';

/** What one cluster may have stored, what a guard holds included. */
export interface ReportLimits {
  readonly resources: number;
  /** Of bodies. */
  readonly bytes: number;
  /** Resources of types that this hub does not know. */
  readonly unknown: number;
}

export const defaultReportLimits: ReportLimits = { resources: 100_000, bytes: 128 << 20, unknown: 1_000 };

/** Counts a delta against its cluster's limits. */
export class ReportBudget {
  readonly #copy: ClusterCopy;
  readonly #limits: ReportLimits;
  readonly #used = new Totals();

  /** @param held what a guard holds of the cluster. */
  constructor(copy: ClusterCopy, held: Readonly<Totals> | undefined, limits: ReportLimits) {
    this.#copy = copy;
    this.#limits = limits;
    this.#used.count = copy.totals.count + (held?.count ?? 0);
    this.#used.bytes = copy.totals.bytes + (held?.bytes ?? 0);
    this.#used.unknown = copy.totals.unknown + (held?.unknown ?? 0);
  }

  leave({ type, name }: ResourceKey): void {
    const before = this.#copy.inventory.get(type, name);
    if (before !== undefined) this.#used.add(before, -1);
  }

  /** Throws HG1002 when the cluster would have more than it may; it then counts as not entered. */
  enter(next: Resource): void {
    const before = this.#copy.inventory.get(next.type, next.name);
    if (before !== undefined) this.#used.add(before, -1);
    this.#used.add(next, 1);
    const { resources, bytes, unknown } = this.#limits;
    const over =
      this.#used.count > resources
        ? `${resources} resources`
        : this.#used.bytes > bytes
          ? `${bytes} bytes`
          : this.#used.unknown > unknown
            ? `${unknown} resources of unknown types`
            : undefined;
    // What shrinks is welcome whatever the limit says: it is the way back under it.
    if (over === undefined || (before !== undefined && next.body.length <= before.body.length)) return;
    this.#used.add(next, -1);
    if (before !== undefined) this.#used.add(before, 1);
    throw new HeadgateError('HG1002', `the cluster would have more than ${over} here`, {
      remedy: 'remove what it does not need',
    });
  }
}
