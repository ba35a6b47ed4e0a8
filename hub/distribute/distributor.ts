import { setImmediate } from 'node:timers';
import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Identity } from '../../lib/identity/identity.ts';
import type { Log } from '../../lib/log.ts';
import { claimSpeaker, type Epoch, type Pipe, Sender, type SpeakerRegister, tapped } from '../../lib/sync/index.ts';
import type { ReceiverFrame, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import { clustersOf } from '../compile/body-for.ts';
import type { CompiledChange } from '../compile/compiler.ts';
import type { PresenceRegister } from '../presence.ts';
import { Subscription } from './subscription.ts';

export interface DistributorOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Shared with whatever serves Report: both streams are one speaker. */
  readonly speakers: SpeakerRegister;
  readonly presence: Pick<PresenceRegister, 'opened' | 'heard' | 'acknowledged'>;
}

type ConfigurePipe = Pipe<SenderFrame, ReceiverFrame>;

interface Stream {
  readonly sender: Sender;
  readonly stop: AbortController;
}

/** Clusters told of a change before the event loop gets a turn. */
const SLICE = 16;

/**
 * Gives every member what the fleet compiles to. A change costs the clusters it concerns; slow ones hold one
 * delta each and get the newest state after it. Says nothing to a cluster before the fleet has loaded and has
 * it as a member: an empty inventory would look like an order to remove everything.
 */
export class Distributor {
  readonly #options: DistributorOptions;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #streams = new Map<string, Set<Stream>>();
  readonly #joining = new Map<string, Set<() => void>>();
  readonly #pending = new Set<string>();
  readonly #bytes = new Map<string, number>();
  #draining = false;
  #epoch: Epoch | undefined;
  #revision = 0n;

  constructor(options: DistributorOptions) {
    this.#options = options;
  }

  /** Takes a change of what the fleet compiles to; the first one holds everything. */
  apply(change: CompiledChange, epoch: Epoch): void {
    // A receiver holds to the epoch it was told, so a new history starts with new streams.
    if (this.#epoch !== undefined && this.#epoch.id !== epoch.id) this.#closeAll();
    this.#epoch = epoch;
    this.#revision = change.revision;
    const joined = this.#membership(change);
    for (const { previous, next } of change.hosts.values()) {
      for (const cluster of new Set([...clustersOf(previous), ...clustersOf(next)])) {
        this.#subscriptions.get(cluster)?.host(previous, next);
        this.#pending.add(cluster);
      }
    }
    for (const [cluster, peer] of change.peers) {
      for (const [name, subscription] of this.#subscriptions) {
        subscription.put('peer', cluster, peer);
        this.#pending.add(name);
      }
    }
    for (const [cluster, statuses] of change.statuses) {
      const subscription = this.#subscriptions.get(cluster);
      if (subscription === undefined) continue;
      for (const [name, status] of statuses) subscription.put('status', name, status);
      this.#pending.add(cluster);
    }
    for (const cluster of joined) for (const resolve of this.#joining.get(cluster) ?? []) resolve();
    this.#drain();
  }

  /** @returns clusters that have become members. */
  #membership({ settings }: CompiledChange): string[] {
    const joined: string[] = [];
    for (const [cluster, own] of settings) {
      if (own === undefined) {
        this.#subscriptions.delete(cluster);
        for (const { stop } of this.#streams.get(cluster) ?? []) stop.abort();
        continue;
      }
      let subscription = this.#subscriptions.get(cluster);
      if (subscription === undefined) {
        subscription = new Subscription(cluster);
        // Peers that do not change with this one are known from any other member.
        const [other] = this.#subscriptions.values();
        for (const peer of other?.inventory.ofType('peer') ?? []) subscription.put('peer', peer.name, peer);
        this.#subscriptions.set(cluster, subscription);
        joined.push(cluster);
      }
      subscription.put('settings', 'cluster', own);
      this.#pending.add(cluster);
    }
    return joined;
  }

  /**
   * Serves one Configure stream until it ends.
   * @param identity of the TLS connection; only a cluster agent is served.
   * @throws HeadgateError HG2006 for another caller, or as Sender.run does.
   */
  async serve(identity: Identity, pipe: ConfigurePipe, signal: AbortSignal): Promise<void> {
    const { clock, log, speakers, presence } = this.#options;
    if (identity.kind !== 'cluster') throw new HeadgateError('HG2006', 'the hub configures cluster agents only');
    const { cluster } = identity;
    const stop = new AbortController();
    const ended = AbortSignal.any([signal, stop.signal]);
    await this.#member(cluster, ended);
    const subscription = this.#subscriptions.get(cluster);
    const epoch = this.#epoch;
    if (subscription === undefined || epoch === undefined) return pipe.close();

    using _ = presence.opened(cluster);
    const close = (error: Error): void => pipe.close(error);
    const source = { inventory: subscription.inventory, epoch: () => epoch, revision: () => this.#revision };
    const sender: Sender = new Sender(
      tapped(pipe, () => presence.heard(cluster)),
      source,
      {
        clock,
        log: log.with({ cluster }),
        signal: ended,
        admitSpeaker: (speaker) => claimSpeaker(speakers, cluster, 'configure', speaker, close),
        onAck: ({ revision, bytes }) => {
          this.#bytes.set(cluster, this.bytesSent(cluster) + bytes);
          presence.acknowledged(cluster, revision);
          // The delta that follows is sent after this call; what is settled is seen once it is done.
          queueMicrotask(() => this.#acknowledge(cluster, sender));
        },
      },
    );
    const stream: Stream = { sender, stop };
    const streams = this.#streams.get(cluster) ?? new Set<Stream>();
    this.#streams.set(cluster, streams.add(stream));
    try {
      await sender.run();
    } finally {
      streams.delete(stream);
      if (streams.size === 0) this.#streams.delete(cluster);
      speakers.release(cluster, close);
    }
  }

  /** Bytes of bodies that a cluster has acknowledged since this hub started. */
  bytesSent(cluster: string): number {
    return this.#bytes.get(cluster) ?? 0;
  }

  /** The revision of what is being distributed. */
  get revision(): bigint {
    return this.#revision;
  }

  async #member(cluster: string, signal: AbortSignal): Promise<void> {
    if (this.#subscriptions.has(cluster) || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#joining.get(cluster) ?? new Set();
    this.#joining.set(cluster, waiting.add(resolve));
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    waiting.delete(resolve);
    if (waiting.size === 0) this.#joining.delete(cluster);
  }

  /** Tells the senders, a slice at a time, so that a change felt by all does not hold the loop. */
  #drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    const step = (): void => {
      for (const cluster of [...this.#pending].slice(0, SLICE)) {
        this.#pending.delete(cluster);
        const keys = this.#subscriptions.get(cluster)?.takeChanged() ?? [];
        if (keys.length > 0) for (const { sender } of this.#streams.get(cluster) ?? []) sender.changed(keys);
      }
      if (this.#pending.size > 0) return void setImmediate(step);
      this.#draining = false;
      // Whoever was not concerned is up to date all the same.
      for (const [cluster, streams] of this.#streams)
        for (const { sender } of streams) this.#acknowledge(cluster, sender);
    };
    step();
  }

  #acknowledge(cluster: string, sender: Sender): void {
    if (!sender.settled || this.#subscriptions.get(cluster)?.changed === true) return;
    this.#options.presence.acknowledged(cluster, this.#revision);
  }

  #closeAll(): void {
    for (const streams of this.#streams.values()) for (const { stop } of streams) stop.abort();
  }
}
