import type { KubeApi, KubeObject } from '../ground/kube-api.ts';

interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
}

/** Of a watch that did not see what was written. */
const SEEN_WITHIN = 30_000;

/**
 * The API server's own part of a write's way: from its reply to the arrival of the event at a plain watch, without
 * anything of Headgate. No controller that watches can be faster.
 */
export class WatchFloor implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>[] = [];
  /** When an object's version arrived, on the clock of `performance.now`, by uid and version. */
  readonly #arrived = new Map<string, PromiseWithResolvers<number>>();

  /** Resolves when every kind is watched. */
  static async start(api: KubeApi, kinds: readonly Kind[]): Promise<WatchFloor> {
    const floor = new WatchFloor();
    await Promise.all(kinds.map(async (kind) => await floor.#watch(api, kind)));
    return floor;
  }

  /**
   * @param written as the API server answered it
   * @param at when it did, on the clock of `performance.now`
   * @returns milliseconds; 0 where the event was there before the reply.
   */
  async of(written: KubeObject, at: number): Promise<number> {
    const late = AbortSignal.timeout(SEEN_WITHIN);
    const never = Promise.withResolvers<never>();
    late.addEventListener('abort', () =>
      never.reject(new Error(`no watch saw ${written.kind} ${written.metadata.name}`)),
    );
    return Math.max(0, (await Promise.race([this.#slot(written).promise, never.promise])) - at);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#watching);
  }

  async #watch(api: KubeApi, { apiVersion, kind }: Kind): Promise<void> {
    const { metadata } = await api.list(apiVersion, kind);
    const { resourceVersion } = metadata;
    const follow = async (): Promise<void> => {
      const options = { resourceVersion, signal: this.#stop.signal };
      for await (const { type, object } of api.watch(apiVersion, kind, options)) {
        if (type === 'ADDED' || type === 'MODIFIED') this.#slot(object).resolve(performance.now());
      }
    };
    this.#watching.push(follow());
  }

  #slot({ metadata }: KubeObject): PromiseWithResolvers<number> {
    const key = `${metadata.uid ?? ''} ${metadata.resourceVersion ?? ''}`;
    let slot = this.#arrived.get(key);
    if (slot === undefined) this.#arrived.set(key, (slot = Promise.withResolvers<number>()));
    return slot;
  }
}
