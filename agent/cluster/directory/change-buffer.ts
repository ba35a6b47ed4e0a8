import type { Resource, ResourceKey } from '../../../lib/sync/index.ts';
import type { SourceChange } from '../source.ts';

type Pending = Map<string, { readonly upsert: Resource } | { readonly removal: ResourceKey }>;

/**
 * What was derived and not yet handed on; the newest of each resource wins. A Service that was told a moment
 * ago waits, since its ready counts may change with every pod; nothing else ever does.
 */
export class ChangeBuffer {
  readonly #serviceMs: number;
  #report: Pending = new Map();
  #own: Pending = new Map();
  /** By Service: when it may be told again, in the order in which they were told. */
  readonly #quietUntil = new Map<string, number>();

  constructor(serviceMs: number) {
    this.#serviceMs = serviceMs;
  }

  add({ report, own }: SourceChange): void {
    for (const [pending, delta] of [
      [this.#report, report],
      [this.#own, own],
    ] as const) {
      for (const upsert of delta.upserts) pending.set(`${upsert.type} ${upsert.name}`, { upsert });
      for (const removal of delta.removals) pending.set(`${removal.type} ${removal.name}`, { removal });
    }
  }

  /** @returns what may be told now; undefined when that is nothing. */
  take(now: number): SourceChange | undefined {
    for (const [name, until] of this.#quietUntil) {
      if (until > now) break;
      this.#quietUntil.delete(name);
    }
    const held: Pending = new Map();
    const report = emptyDelta();
    for (const [key, entry] of this.#report) {
      if ('removal' in entry) report.removals.push(entry.removal);
      else if (this.#quietUntil.has(key)) held.set(key, entry);
      else report.upserts.push(entry.upsert);
    }
    const own = emptyDelta();
    for (const entry of this.#own.values()) {
      if ('removal' in entry) own.removals.push(entry.removal);
      else own.upserts.push(entry.upsert);
    }
    for (const { type, name } of report.upserts) {
      if (type === 'service') this.#quietUntil.set(`${type} ${name}`, now + this.#serviceMs);
    }
    this.#report = held;
    this.#own = new Map();
    const empty = [report, own].every(({ upserts, removals }) => upserts.length + removals.length === 0);
    return empty ? undefined : { report, own };
  }

  /** When something that waits may be told; undefined when nothing waits. */
  deadline(): number | undefined {
    let soonest: number | undefined;
    for (const key of this.#report.keys()) {
      const until = this.#quietUntil.get(key) ?? 0;
      if (soonest === undefined || until < soonest) soonest = until;
    }
    return soonest;
  }
}

function emptyDelta() {
  return { upserts: new Array<Resource>(), removals: new Array<ResourceKey>() };
}
