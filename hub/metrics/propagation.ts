import type { CompiledChange } from '../compile/compiler.ts';

/** The oldest change that a cluster has not acknowledged. */
interface Pending {
  readonly revision: bigint;
  /** Milliseconds, monotonic. */
  readonly at: number;
}

/**
 * Follows each change from the moment the hub has seen its commit until the clusters that it concerns have
 * acknowledged it. Changes that pile up are measured from the oldest.
 */
export class Propagation {
  readonly #pending = new Map<string, Pending>();
  readonly #now: () => number;
  readonly #observe: (seconds: number) => void;

  constructor(now: () => number, observe: (seconds: number) => void) {
    this.#now = now;
    this.#observe = observe;
  }

  changed({ revision, hosts, peers, settings }: CompiledChange, members: Iterable<string>): void {
    const concerned = new Set<string>(peers.size > 0 ? members : settings.keys());
    for (const { previous, next } of hosts.values()) {
      for (const cluster of previous?.recipients ?? []) concerned.add(cluster);
      for (const cluster of next?.recipients ?? []) concerned.add(cluster);
    }
    for (const cluster of concerned) {
      if (!this.#pending.has(cluster)) this.#pending.set(cluster, { revision, at: this.#now() });
    }
    for (const [cluster, own] of settings) if (own === undefined) this.#pending.delete(cluster);
  }

  acknowledged(cluster: string, revision: bigint): void {
    const pending = this.#pending.get(cluster);
    if (pending === undefined || revision < pending.revision) return;
    this.#pending.delete(cluster);
    this.#observe((this.#now() - pending.at) / 1_000);
  }

  /** Seconds for which the cluster's configuration has not been the newest; 0 when it is. */
  ageOf(cluster: string): number {
    const pending = this.#pending.get(cluster);
    return pending === undefined ? 0 : (this.#now() - pending.at) / 1_000;
  }
}
