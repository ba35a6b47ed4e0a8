import type { Resource, ResourceKey } from '../../lib/sync/index.ts';
import { Service } from '../../proto/gen/headgate/v1/reported.ts';
import type { SourceChange } from './source.ts';

type Pending = Map<string, { readonly upsert: Resource } | { readonly removal: ResourceKey }>;

/** What of a Service another cluster acts on at once: its ports, and which of them have anything behind them. */
function outlineOf({ body }: Resource): string {
  return Service.decode(body)
    .ports.map(({ name, number, ready }) => `${name} ${number} ${ready > 0}`)
    .join();
}

/**
 * What was derived and not yet handed on; the newest of each resource wins. A Service whose ready counts were
 * told a moment ago waits, since they may change with every pod, unless the first endpoint came or the last one
 * went; nothing else ever waits.
 */
export class ChangeBuffer {
  readonly #serviceMs: number;
  #report: Pending = new Map();
  #own: Pending = new Map();
  /** By Service, in the order in which they were told: when counts may be told again, and what was told. */
  readonly #told = new Map<string, { readonly until: number; readonly outline: string }>();

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
    for (const [key, { until }] of this.#told) {
      if (until > now) break;
      this.#told.delete(key);
    }
    const held: Pending = new Map();
    const report = emptyDelta();
    for (const [key, entry] of this.#report) {
      if ('removal' in entry) report.removals.push(entry.removal);
      else if (this.#isHeld(key, entry.upsert)) held.set(key, entry);
      else report.upserts.push(entry.upsert);
    }
    const own = emptyDelta();
    for (const entry of this.#own.values()) {
      if ('removal' in entry) own.removals.push(entry.removal);
      else own.upserts.push(entry.upsert);
    }
    for (const upsert of report.upserts) {
      if (upsert.type !== 'service') continue;
      const key = `${upsert.type} ${upsert.name}`;
      this.#told.delete(key);
      this.#told.set(key, { until: now + this.#serviceMs, outline: outlineOf(upsert) });
    }
    this.#report = held;
    this.#own = new Map();
    const empty = [report, own].every(({ upserts, removals }) => upserts.length + removals.length === 0);
    return empty ? undefined : { report, own };
  }

  #isHeld(key: string, upsert: Resource): boolean {
    const told = this.#told.get(key);
    return told !== undefined && told.outline === outlineOf(upsert);
  }

  /** When something that waits may be told; undefined when nothing waits. */
  deadline(): number | undefined {
    let soonest: number | undefined;
    for (const key of this.#report.keys()) {
      const until = this.#told.get(key)?.until ?? 0;
      if (soonest === undefined || until < soonest) soonest = until;
    }
    return soonest;
  }
}

function emptyDelta() {
  return { upserts: new Array<Resource>(), removals: new Array<ResourceKey>() };
}
