/** Routes that went away stay known to the gateway listener for at least so long. Milliseconds. */
const LINGER = 30_000;
/** What is due within so many milliseconds is dropped together: each time costs as much as the map is long. */
const TOGETHER = 5_000;

/** Routes that went away, until they are to be forgotten. */
export class Lingering {
  /** Ascending by time. */
  readonly #batches = new Map<number, Set<string>>();
  readonly #until = new Map<string, number>();

  /** When the next routes are due; undefined while none linger. */
  get dueAt(): number | undefined {
    return this.#batches.keys().next().value;
  }

  /** One that went before counts from now. */
  add(routes: Iterable<string>, now: number): void {
    const until = Math.ceil((now + LINGER) / TOGETHER) * TOGETHER;
    for (const route of routes) {
      const before = this.#until.get(route);
      if (before === until) continue;
      if (before !== undefined) this.#batches.get(before)?.delete(route);
      this.#until.set(route, until);
      const batch = this.#batches.get(until);
      if (batch === undefined) this.#batches.set(until, new Set([route]));
      else batch.add(route);
    }
  }

  /** Takes out all that are due. */
  take(now: number): string[] {
    const routes: string[] = [];
    for (const [until, batch] of this.#batches) {
      if (until > now) break;
      this.#batches.delete(until);
      for (const route of batch) this.#until.delete(route);
      routes.push(...batch);
    }
    return routes;
  }
}
