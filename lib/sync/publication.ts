import { Inventory, type Epoch, type Resource, type ResourceDelta, type ResourceKey } from './resource.ts';
import type { SenderSource } from './protocol.ts';

/** Where changed keys are told: a Sender. */
export interface Subscriber {
  changed(keys: Iterable<ResourceKey>): void;
}

/**
 * An inventory with subscribers. Its owner changes it here and nowhere else; every subscriber learns which
 * keys changed and sends what they hold by then.
 */
export class Publication implements SenderSource {
  readonly inventory = new Inventory();
  readonly #subscribers = new Set<Subscriber>();
  readonly #held: () => { readonly epoch: Epoch; readonly revision: bigint } | undefined;

  /** @param held epoch and revision that the inventory stands for; `undefined` where it has none (reports). */
  constructor(held: () => { readonly epoch: Epoch; readonly revision: bigint } | undefined = () => undefined) {
    this.#held = held;
  }

  epoch(): Epoch {
    return this.#held()?.epoch ?? { counter: 0n, id: '' };
  }

  revision(): bigint {
    return this.#held()?.revision ?? 0n;
  }

  /** Applies a delta and tells subscribers what really changed. */
  publish(delta: ResourceDelta): ResourceDelta {
    const upserts: Resource[] = delta.upserts.filter((next) => this.inventory.set(next));
    const removals: ResourceKey[] = delta.removals.filter((key) => this.inventory.delete(key));
    const changed = [...upserts, ...removals];
    if (changed.length > 0) for (const subscriber of this.#subscribers) subscriber.changed(changed);
    return { upserts, removals };
  }

  subscribe(subscriber: Subscriber): Disposable {
    this.#subscribers.add(subscriber);
    return { [Symbol.dispose]: () => void this.#subscribers.delete(subscriber) };
  }
}
