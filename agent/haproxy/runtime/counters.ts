/** Series of a slot: `haproxy_backend_…{proxy="s0001",code="2xx"} 5`. */
const SERIES = /^(haproxy_backend_\w+)\{proxy="(s\d+)"(?:,([^}]*))?\} (\S+)$/;
const TYPE = /^# TYPE (\S+) (\w+)$/;
const BOOT = /^haproxy_process_start_time_seconds (\S+)$/m;

interface Leaving {
  readonly owners: ReadonlyMap<string, string>;
  readonly slots: Map<string, Map<string, Counted>>;
}

/** One count of one slot. `key`: `<metric>` or `<metric>{<labels>`. */
export interface Reading {
  readonly slot: string;
  readonly key: string;
  readonly value: number;
}

interface Counted {
  /** As HAProxy said it last. */
  last: number;
  /** What of that was counted for an owner before this one. */
  offset: number;
}

/**
 * HAProxy counts by backend, from its worker's start. Here the counts belong to who has the slot: they begin at 0 for
 * each new owner, add up over all slots that an owner has, and never go backwards while the owner is there, whatever
 * is reloaded.
 */
export class Counters {
  /** Slot → owner, the last that it had. */
  readonly #owners = new Map<string, string>();
  /** Slot → metric and further labels → count. */
  readonly #slots = new Map<string, Map<string, Counted>>();
  /** Owner → metric and further labels → what is counted no more: by workers and in slots that it has left. */
  readonly #bases = new Map<string, Map<string, number>>();
  /** What workers have counted that a reload replaced and that still end their connections, and for whom. */
  readonly #leaving = new Map<number, Leaving>();
  #boot: string | undefined;
  /** What was read as it is kept: a part of a text keeps the whole text, some MiB, in memory. */
  readonly #kept = new Map<string, string>();

  /** Whether a slot's counts may be another's, which have to be read before it is assigned. */
  isAnothers(slot: string, owner: string): boolean {
    return (this.#owners.get(slot) ?? owner) !== owner;
  }

  assign(slot: string, owner: string): void {
    if (this.isAnothers(slot, owner)) this.#settle(slot, false);
    this.#owners.set(slot, owner);
  }

  /** Counts nothing of what has been read so far. */
  leaveBehind(): void {
    this.#bases.clear();
    for (const counts of this.#slots.values()) for (const one of counts.values()) one.offset = one.last;
  }

  /** Takes in what HAProxy's exporter says. */
  read(text: string): void {
    const boot = BOOT.exec(text)?.[1];
    if (boot !== this.#boot) for (const slot of this.#slots.keys()) this.#settle(slot, true);
    this.#boot = boot;
    for (const { slot, key, value } of countersIn(text)) {
      let counts = this.#slots.get(slot);
      if (counts === undefined) this.#slots.set(slot, (counts = new Map()));
      const known = counts.get(key);
      if (known === undefined) {
        // Most of what there is stays 0.
        if (value > 0) counts.set(this.#keep(key), { last: value, offset: 0 });
        continue;
      }
      if (value < known.last) {
        this.#settle(slot, true);
        counts.set(this.#keep(key), { last: value, offset: 0 });
      } else known.last = value;
    }
  }

  /** A reload has replaced the worker that was read last; it is told of by `readLeaving` until `end`. */
  retire(worker: number): void {
    this.#leaving.set(worker, { owners: new Map(this.#owners), slots: new Map(this.#slots) });
    this.#slots.clear();
    this.#boot = undefined;
  }

  readLeaving(worker: number, readings: Iterable<Reading>): void {
    const { slots } = this.#leaving.get(worker) ?? {};
    if (slots === undefined) return;
    for (const { slot, key, value } of readings) {
      const counts = slots.get(slot) ?? new Map<string, Counted>();
      slots.set(slot, counts);
      const known = counts.get(key);
      if (known !== undefined) known.last = Math.max(known.last, value);
      else if (value > 0) counts.set(key, { last: value, offset: 0 });
    }
  }

  /** It counts no more. */
  end(worker: number): void {
    const { owners, slots } = this.#leaving.get(worker) ?? {};
    this.#leaving.delete(worker);
    for (const [slot, counts] of slots ?? []) this.#credit(owners?.get(slot), counts);
  }

  /** Counts of every owner of `owners`, by metric and further labels; others are forgotten. */
  sums(owners: ReadonlySet<string>): ReadonlyMap<string, ReadonlyMap<string, number>> {
    for (const owner of this.#bases.keys()) if (!owners.has(owner)) this.#bases.delete(owner);
    const sums = new Map([...this.#bases].map(([owner, counts]) => [owner, new Map(counts)]));
    for (const worker of [{ owners: this.#owners, slots: this.#slots }, ...this.#leaving.values()]) {
      for (const [slot, counts] of worker.slots) {
        const owner = worker.owners.get(slot);
        if (owner === undefined || !owners.has(owner)) continue;
        let sum = sums.get(owner);
        if (sum === undefined) sums.set(owner, (sum = new Map()));
        add(sum, counts);
      }
    }
    return sums;
  }

  #keep(text: string): string {
    let kept = this.#kept.get(text);
    if (kept === undefined) this.#kept.set((kept = Buffer.from(text).toString()), kept);
    return kept;
  }

  /** Moves what a slot has counted to its owner. @param restarted HAProxy counts it from 0 again. */
  #settle(slot: string, restarted: boolean): void {
    const counts = this.#slots.get(slot) ?? new Map<string, Counted>();
    this.#credit(this.#owners.get(slot), counts);
    if (restarted) counts.clear();
    else for (const one of counts.values()) one.offset = one.last;
  }

  #credit(owner: string | undefined, counts: ReadonlyMap<string, Counted>): void {
    if (owner === undefined) return;
    let base = this.#bases.get(owner);
    if (base === undefined) this.#bases.set(owner, (base = new Map()));
    add(base, counts);
  }
}

function add(sum: Map<string, number>, counts: ReadonlyMap<string, Counted>): void {
  for (const [key, { last, offset }] of counts) sum.set(key, (sum.get(key) ?? 0) + last - offset);
}

/** Series of slots that only ever grow. */
function* countersIn(text: string): Generator<Reading> {
  let counter = false;
  for (const line of linesOf(text)) {
    const type = TYPE.exec(line);
    if (type !== null) counter = type[2] === 'counter';
    if (!counter) continue;
    const [, metric, slot, labels, value] = SERIES.exec(line) ?? [];
    if (metric === undefined || slot === undefined || !Number.isFinite(Number(value))) continue;
    yield { slot, key: labels === undefined ? metric : `${metric}{${labels}`, value: Number(value) };
  }
}

/** One after another: all at once are many times the text. */
function* linesOf(text: string): Generator<string> {
  for (let at = 0; at < text.length;) {
    const end = text.indexOf('\n', at);
    yield text.slice(at, end < 0 ? undefined : end);
    at = end < 0 ? text.length : end + 1;
  }
}
