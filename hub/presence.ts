import type { Clock } from '../lib/clock.ts';
import type { Presence } from './view.ts';

interface Known {
  streams: number;
  /** By the monotonic clock. */
  heardAt: number;
  acknowledged: bigint | undefined;
}

/** Who is connected to this replica. Written by whatever serves an agent's streams. */
export class PresenceRegister implements Presence {
  readonly #clock: Clock;
  readonly #clusters = new Map<string, Known>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A stream of the cluster's agent has opened; dispose it when the stream ends. */
  opened(cluster: string): Disposable {
    const known = this.#heard(cluster);
    known.streams += 1;
    let open = true;
    return {
      [Symbol.dispose]: () => {
        if (!open) return;
        open = false;
        known.streams -= 1;
        if (known.streams === 0) known.acknowledged = undefined;
      },
    };
  }

  /** Any frame counts. */
  heard(cluster: string): void {
    this.#heard(cluster);
  }

  acknowledged(cluster: string, revision: bigint): void {
    this.#heard(cluster).acknowledged = revision;
  }

  /** The cluster has been removed from the fleet. */
  forget(cluster: string): void {
    this.#clusters.delete(cluster);
  }

  connected(cluster: string): boolean {
    return (this.#clusters.get(cluster)?.streams ?? 0) > 0;
  }

  heardAgoMs(cluster: string): number | undefined {
    const known = this.#clusters.get(cluster);
    return known === undefined ? undefined : this.#clock.now() - known.heardAt;
  }

  acknowledgedRevision(cluster: string): bigint | undefined {
    return this.#clusters.get(cluster)?.acknowledged;
  }

  #heard(cluster: string): Known {
    let known = this.#clusters.get(cluster);
    if (known === undefined) this.#clusters.set(cluster, (known = { streams: 0, heardAt: 0, acknowledged: undefined }));
    known.heardAt = this.#clock.now();
    return known;
  }
}
