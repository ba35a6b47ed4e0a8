import type { Log } from '../../../lib/log.ts';
import type { Change } from '../model/change.ts';
import type { Slot } from '../model/desired.ts';
import { backendOfKey } from '../model/profile.ts';
import type { RuntimeClient } from './client.ts';
import { Counters } from './counters.ts';
import { fetchMetrics, labelSlots } from './exporter.ts';
import { LeavingWorkers } from './leaving-workers.ts';

/** HAProxy's metrics by the services that have its slots, whoever had them before and whatever is reloaded. */
export class SlotMetrics {
  /** Of HAProxy's exporter. */
  readonly #socket: string;
  readonly #log: Log;
  readonly #counters = new Counters();
  readonly #leaving = new LeavingWorkers(this.#counters);
  /** While HAProxy is reloaded nobody can say whose counts the exporter gives. */
  #reloading: Promise<unknown> = Promise.resolve();

  constructor(socket: string, log: Log) {
    this.#socket = socket;
    this.#log = log;
  }

  /** Whose the slots are when HAProxy is taken over or started. */
  begin(slots: readonly Slot[]): void {
    for (const [slot, owner] of ownersOf(slots)) this.#counters.assign(slot, owner);
  }

  /** Counts nothing of what HAProxy has counted so far: whose that was, the agent before this one knew. */
  async leaveBehind(): Promise<void> {
    await this.note();
    this.#counters.leaveBehind();
  }

  /** What a slot has counted until a change gives it away is its last owner's. */
  async handOver({ ops }: Change): Promise<void> {
    const assigned = ops.flatMap(({ op }) =>
      op.kind === 'assigned' ? [{ ...op, owner: backendOfKey(op.owner) }] : [],
    );
    if (assigned.some(({ backend, owner }) => this.#counters.isAnothers(backend, owner))) await this.note();
    for (const { backend, owner } of assigned) this.#counters.assign(backend, owner);
  }

  /**
   * Runs a reload, and goes on counting what the worker that it replaces still does.
   * @param client of that worker
   */
  async across(reload: () => Promise<void>, client: RuntimeClient): Promise<void> {
    await this.note();
    const done = this.#across(reload, client);
    this.#reloading = done.catch(() => undefined);
    await done;
  }

  async #across(reload: () => Promise<void>, client: RuntimeClient): Promise<void> {
    await reload();
    const old = client.detach();
    if (old !== undefined) this.#leaving.add(old);
  }

  /** Lets workers go that have ended their connections; nobody waits for one that hangs. */
  tend(): void {
    void this.#leaving.tend();
  }

  close(): void {
    this.#leaving.close();
  }

  /** Notes what HAProxy has counted by now, for it begins anew or counts for another soon. */
  async note(): Promise<void> {
    try {
      this.#counters.read(await fetchMetrics(this.#socket, ['global', 'backend']));
    } catch (error) {
      this.#log.warn('what HAProxy counted since it was last asked is lost', { error });
    }
  }

  /** @throws HG5003 */
  async text(slots: readonly Slot[]): Promise<string> {
    await this.#reloading;
    const [text] = await Promise.all([fetchMetrics(this.#socket), this.#leaving.read()]);
    this.#counters.read(text);
    const owners = ownersOf(slots);
    return labelSlots(text, owners, this.#counters.sums(new Set(owners.values())));
  }
}

/** Slot → the backend resource that it serves. */
function ownersOf(slots: readonly Slot[]): Map<string, string> {
  return new Map(
    slots.flatMap(({ name, backend }) => (backend === undefined ? [] : [[name, backendOfKey(backend)] as const])),
  );
}
