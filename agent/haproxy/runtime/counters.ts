/** Series of a slot: `haproxy_backend_…{proxy="s0001",code="2xx"} 5`. */
const SERIES = /^(haproxy_backend_\w+)\{proxy="(s\d+)"(?:,([^}]*))?\} (\S+)$/;
const TYPE = /^# TYPE (\S+) (\w+)$/;
const BOOT = /^haproxy_process_start_time_seconds (\S+)$/m;

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

  /** Counts of every owner of `owners`, by metric and further labels; others are forgotten. */
  sums(owners: ReadonlySet<string>): ReadonlyMap<string, ReadonlyMap<string, number>> {
    for (const owner of this.#bases.keys()) if (!owners.has(owner)) this.#bases.delete(owner);
    const sums = new Map([...this.#bases].map(([owner, counts]) => [owner, new Map(counts)]));
    for (const [slot, counts] of this.#slots) {
      const owner = this.#owners.get(slot);
      if (owner === undefined || !owners.has(owner)) continue;
      let sum = sums.get(owner);
      if (sum === undefined) sums.set(owner, (sum = new Map()));
      for (const [key, { last, offset }] of counts) sum.set(key, (sum.get(key) ?? 0) + last - offset);
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
    const owner = this.#owners.get(slot);
    if (owner !== undefined) {
      let base = this.#bases.get(owner);
      if (base === undefined) this.#bases.set(owner, (base = new Map()));
      for (const [key, { last, offset }] of counts) base.set(key, (base.get(key) ?? 0) + last - offset);
    }
    if (restarted) counts.clear();
    else for (const one of counts.values()) one.offset = one.last;
  }
}

/** Series of slots that only ever grow. `key`: `<metric>` or `<metric>{<labels>`. */
function* countersIn(text: string): Generator<{ readonly slot: string; readonly key: string; readonly value: number }> {
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
