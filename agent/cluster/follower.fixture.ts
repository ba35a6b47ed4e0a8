import { systemClock } from '../../lib/clock.ts';
import { Inventory } from '../../lib/sync/index.ts';
import { Ingress, Problem } from '../../proto/gen/headgate/v1/reported.ts';
import type { Source, SourceChange } from './source.ts';

/** Reads a source as the agent does, and keeps what all its changes came to. */
export class Follower {
  readonly inventory = new Inventory();
  readonly changes: SourceChange[] = [];
  readonly #stop = new AbortController();
  readonly #iterator: AsyncIterator<SourceChange>;
  #pending: Promise<IteratorResult<SourceChange>> | undefined;

  constructor(source: Source) {
    this.#iterator = source.changes(this.#stop.signal)[Symbol.asyncIterator]();
  }

  async next(): Promise<SourceChange> {
    this.#pending ??= this.#iterator.next();
    const result = await this.#pending;
    this.#pending = undefined;
    if (result.done === true) throw new Error('the source ended');
    this.changes.push(result.value);
    this.inventory.apply(result.value.report);
    this.inventory.apply(result.value.own);
    return result.value;
  }

  /** Reads changes until something holds. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await this.next();
  }

  /** Whether no change comes for as long. */
  async isSilent(ms: number): Promise<boolean> {
    this.#pending ??= this.#iterator.next();
    return (await Promise.race([this.#pending, systemClock.sleep(ms)])) === undefined;
  }

  names(type: string): string[] {
    return [...this.inventory.ofType(type)].map(({ name }) => name).sort();
  }

  hosts(name: string): string[] {
    const body = this.inventory.get('ingress', name)?.body;
    return body === undefined ? [] : Ingress.decode(body).rules.map(({ host }) => host);
  }

  /** Names of every resource whose removal was ever told. */
  removed(type: string): string[] {
    return this.changes
      .flatMap(({ report }) => report.removals)
      .flatMap((key) => (key.type === type ? [key.name] : []));
  }

  problems(): string[] {
    return [...this.inventory.ofType('problem')]
      .map(({ body }) => Problem.decode(body))
      .map(({ code, place, field, message }) => `${code} ${place} ${field}: ${message}`)
      .sort();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#pending;
    await this.#iterator.return?.();
  }
}
