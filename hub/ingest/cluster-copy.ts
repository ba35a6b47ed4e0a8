import { Inventory, type Resource, type ResourceKey } from '../../lib/sync/index.ts';
import type { Ingress } from '../../proto/gen/headgate/v1/reported.ts';
import { Totals } from './totals.ts';
import { claimsOf } from './stored-report.ts';

/** What one cluster has reported, in memory: the inventory that sync compares, and the routes in it. */
export class ClusterCopy {
  readonly inventory = new Inventory();
  /** By the Ingress's name. */
  readonly #claims = new Map<string, ReadonlySet<string>>();
  /** How many Ingresses make a claim. */
  readonly #claimants = new Map<string, number>();
  readonly #totals = new Totals();

  /** Routes, each counted once. */
  get routes(): number {
    return this.#claimants.size;
  }

  get totals(): Readonly<Totals> {
    return this.#totals;
  }

  claimsOfIngress(name: string): ReadonlySet<string> {
    return this.#claims.get(name) ?? new Set();
  }

  claimants(claim: string): number {
    return this.#claimants.get(claim) ?? 0;
  }

  /** @param ingress the decoded body where it is one. */
  set(next: Resource, ingress: Ingress | undefined): void {
    this.#leave(next);
    this.#totals.add(next, 1);
    this.inventory.set(next);
    if (ingress !== undefined) this.#claim(next.name, claimsOf(ingress));
  }

  delete(key: ResourceKey): void {
    this.#leave(key);
    this.inventory.delete(key);
    if (key.type === 'ingress') this.#claim(key.name, new Set());
  }

  #leave({ type, name }: ResourceKey): void {
    const before = this.inventory.get(type, name);
    if (before !== undefined) this.#totals.add(before, -1);
  }

  #claim(name: string, claims: ReadonlySet<string>): void {
    for (const claim of this.claimsOfIngress(name)) {
      const left = this.claimants(claim) - 1;
      if (left === 0) this.#claimants.delete(claim);
      else this.#claimants.set(claim, left);
    }
    for (const claim of claims) this.#claimants.set(claim, this.claimants(claim) + 1);
    if (claims.size === 0) this.#claims.delete(name);
    else this.#claims.set(name, claims);
  }
}
