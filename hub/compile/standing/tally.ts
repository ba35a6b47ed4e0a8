import type { Reach } from '../policy/reach.ts';
import type { FleetReach } from './encode.ts';

/** A policy's reach over all hosts, kept up to date host by host. */
export class Tally {
  #routes = 0;
  readonly #attached = new Map<string, number>();
  readonly #inForce = new Map<string, number>();

  /** @returns whether anything came out otherwise. */
  replace(previous: Reach | undefined, next: Reach | undefined): boolean {
    if (sameReach(previous, next)) return false;
    this.#routes += (next?.routes ?? 0) - (previous?.routes ?? 0);
    add(this.#attached, next?.attached ?? [], 1);
    add(this.#attached, previous?.attached ?? [], -1);
    add(this.#inForce, next?.inForce ?? [], 1);
    add(this.#inForce, previous?.inForce ?? [], -1);
    return true;
  }

  get reach(): FleetReach {
    return { routes: this.#routes, attached: this.#attached.size, inForce: this.#inForce.size };
  }
}

function add(counts: Map<string, number>, clusters: readonly string[], by: 1 | -1): void {
  for (const cluster of clusters) {
    const count = (counts.get(cluster) ?? 0) + by;
    if (count === 0) counts.delete(cluster);
    else counts.set(cluster, count);
  }
}

function sameReach(a: Reach | undefined, b: Reach | undefined): boolean {
  return (
    a?.routes === b?.routes &&
    sameNames(a?.attached ?? [], b?.attached ?? []) &&
    sameNames(a?.inForce ?? [], b?.inForce ?? [])
  );
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, at) => b[at] === name);
}
