import { Inventory, type Resource, type ResourceKey } from '../../lib/sync/index.ts';
import { bodyFor } from '../compile/body-for.ts';
import type { CompiledHost } from '../compile/types.ts';

/**
 * What one cluster gets, and which keys have changed since they were last taken. Resources are shared between
 * clusters, so 250 clusters hold one body.
 */
export class Subscription {
  readonly inventory = new Inventory();
  /** Backend name → hosts that need it. */
  readonly #backends = new Map<string, number>();
  readonly #changed = new Map<string, ResourceKey>();

  readonly #cluster: string;

  constructor(cluster: string) {
    this.#cluster = cluster;
  }

  host(previous: CompiledHost | undefined, next: CompiledHost | undefined): void {
    const name = (next ?? previous)?.name;
    if (name !== undefined) this.put('host', name, next === undefined ? undefined : bodyFor(next, this.#cluster));
    const before = previous?.backends.get(this.#cluster) ?? [];
    const after = next?.backends.get(this.#cluster) ?? [];
    // Counted up first: a backend that stays is never gone in between.
    for (const backend of after) {
      this.#backends.set(backend.name, (this.#backends.get(backend.name) ?? 0) + 1);
      this.put('backend', backend.name, backend);
    }
    for (const { name: gone } of before) {
      const left = (this.#backends.get(gone) ?? 0) - 1;
      if (left > 0) this.#backends.set(gone, left);
      else {
        this.#backends.delete(gone);
        this.put('backend', gone, undefined);
      }
    }
  }

  put(type: string, name: string, resource: Resource | undefined): void {
    const changed = resource === undefined ? this.inventory.delete({ type, name }) : this.inventory.set(resource);
    if (changed) this.#changed.set(`${type}\0${name}`, { type, name });
  }

  get changed(): boolean {
    return this.#changed.size > 0;
  }

  takeChanged(): ResourceKey[] {
    const keys = [...this.#changed.values()];
    this.#changed.clear();
    return keys;
  }
}
