import type { Clock } from '../../../lib/clock.ts';
import type { ApiResource, KubernetesClient } from '../../../lib/kubernetes/index.ts';

/** Milliseconds between looks: six requests a minute while a kind is not installed, none afterwards. */
const POLL_MS = 10_000;

/** Tells when kinds are served that were not; one request asks for all of a group. */
export class Discovery {
  readonly #client: KubernetesClient;
  readonly #clock: Clock;
  /** By group and version: the look that is on its way. */
  readonly #looks = new Map<string, Promise<ReadonlySet<string>>>();

  constructor(client: KubernetesClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** @returns what resolves once the kind is served, or the signal aborts. */
  waitFor({ group, version, plural }: ApiResource): (signal: AbortSignal) => Promise<void> {
    return async (signal) => {
      while (!signal.aborted && !(await this.#look(group, version, signal)).has(plural)) {
        // Whoever waits for another kind of the group waits for the same look.
      }
    };
  }

  async #look(group: string, version: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const key = `${group}/${version}`;
    const running = this.#looks.get(key);
    if (running !== undefined) return await running;
    const look = this.#lookLater(group, version, signal).finally(() => this.#looks.delete(key));
    this.#looks.set(key, look);
    return await look;
  }

  async #lookLater(group: string, version: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
    try {
      await this.#clock.sleep(POLL_MS, signal);
      return await this.#client.served(group, version, signal);
    } catch {
      // Not there, or not reachable; the next look tells, and a list says what is wrong.
      return new Set();
    }
  }
}
