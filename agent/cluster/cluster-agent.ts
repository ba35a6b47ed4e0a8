import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import {
  Publication,
  resource,
  type AcceptedDelta,
  type ReceiverSink,
  type Refusal,
  type ResourceDelta,
} from '../../lib/sync/index.ts';
import { ClusterInfo } from '../../proto/gen/headgate/v1/reported.ts';
import { decodable } from '../decoding.ts';
import type { GatewayCredentials } from '../haproxy/data-plane.ts';
import type { Ledger } from '../ledger/types.ts';
import { HeldRemovals } from './held-removals.ts';
import { NodeReports } from './node-reports.ts';
import { ObjectStatuses } from './object-statuses.ts';
import { Prober } from './prober.ts';
import type { Source } from './source.ts';
import { Splitter } from './splitter.ts';

/** The longest wait of a timer that nothing needs, milliseconds. */
const HOUR_MS = 3_600_000;

export interface ClusterAgentOptions {
  readonly cluster: string;
  readonly clusterUid: string;
  readonly version: string;
  readonly source: Source;
  /** What the hub sent, durably: the hub may be away for a week. */
  readonly ledger: Ledger;
  readonly gateway: () => GatewayCredentials;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The one logical process of a cluster: joins what its source sees (up: reports; down: own endpoints and
 * certificates, by the fast lane) with what the hub sends (relayed untouched), and decides the splits.
 */
export class ClusterAgent {
  /** For the hub. */
  readonly up = new Publication();
  /** For the nodes. */
  readonly down: Publication;
  /** What the hub says of the source's objects; at first as it was last heard. */
  readonly statuses = new ObjectStatuses();
  readonly #options: ClusterAgentOptions;
  readonly #splitter: Splitter;
  readonly #removals: HeldRemovals;
  readonly #nodes: NodeReports;
  readonly #complete = Promise.withResolvers<void>();
  readonly #firstList = Promise.withResolvers<void>();
  #listed = false;
  #hubConnected = false;
  #resplitQueued = false;
  /** Wakes the timer when a split's due time may have changed. */
  #rearm = (): void => undefined;

  constructor(options: ClusterAgentOptions) {
    this.#options = options;
    this.#splitter = new Splitter(options.cluster, options.clock);
    const splitter = this.#splitter;
    this.#removals = new HeldRemovals(
      { service: (service) => splitter.routesService(service), host: (host) => splitter.servesHost(host) },
      options.clock,
    );
    this.down = new Publication(() => options.ledger.held());
    this.#nodes = new NodeReports(this.up);
    const stored = [...options.ledger.inventory.all()];
    this.#publish(this.statuses.take({ upserts: stored, removals: [] }), { upserts: [], removals: [] });
    const info = ClusterInfo.encode({ uid: options.clusterUid, agentVersion: options.version }).finish();
    this.up.publish({ upserts: [resource('cluster', 'self', info)], removals: [] });
  }

  /**
   * Resolves when nodes may be served: the source has listed everything and the hub has been heard once, now or
   * in an earlier life. Before that an absence says nothing.
   */
  get complete(): Promise<void> {
    return this.#complete.promise;
  }

  /** Resolves when the source has listed everything: only then may reports go up. */
  get listed(): Promise<void> {
    return this.#firstList.promise;
  }

  get isListed(): boolean {
    return this.#listed;
  }

  /** Follows the source, probes and time until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const prober = new Prober({
      peers: () => this.#splitter.peers(),
      credentials: this.#options.gateway,
      onReachable: (cluster, reachable) => {
        this.#splitter.setReachable(cluster, reachable);
        this.#resplit();
      },
      routes: (cluster) => (this.#hubConnected ? [] : this.#splitter.routesOf(cluster)),
      onRoute: (cluster, host, routeId, live) => {
        if (this.#hubConnected) return;
        this.#splitter.setRouteLive(cluster, host, routeId, live);
        this.#resplitSoon();
      },
      clock: this.#options.clock,
      log: this.#options.log,
    });
    await Promise.all([this.#follow(signal), prober.run(signal), this.#keepTime(signal)]);
  }

  /** Receiving end of the hub's Configure stream. */
  hubSink(): ReceiverSink {
    const { ledger } = this.#options;
    return {
      inventory: ledger.inventory,
      held: () => ledger.held(),
      accept: async (delta) => await this.#accept(delta),
    };
  }

  /** Receiving end of a node's Report stream. */
  nodeSink(node: string): ReceiverSink {
    return this.#nodes.sink(node);
  }

  /** A Report stream of the node's begins; to be disposed when it ends. A node without one is forgotten in time. */
  nodeStream(node: string, signal: AbortSignal): Disposable {
    return this.#nodes.opened(node, this.#options.clock, signal);
  }

  /** Whether the hub's word is fresh; while it is not, peers are asked about each route. */
  setHubConnected(connected: boolean): void {
    this.#hubConnected = connected;
    if (!connected) return;
    this.#splitter.forgetRouteProbes();
    this.#resplit();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for await (const change of this.#options.source.changes(signal)) {
      const { own, report } = this.#removals.filter(change);
      this.#splitter.reported(report);
      this.#publish(own, change.report);
      if (this.#listed) continue;
      this.#listed = true;
      this.#firstList.resolve();
      this.#checkComplete();
    }
  }

  async #accept(delta: AcceptedDelta): Promise<readonly Refusal[]> {
    const { upserts, removals, refusals } = decodable(delta, ['hub']);
    const kept = { ...delta, upserts, removals };
    await this.#options.ledger.commit(kept);
    this.#publish(this.statuses.take(kept), { upserts: [], removals: [] });
    this.#checkComplete();
    return refusals;
  }

  /** Publishes what changed together with the splits it changes, so that a node gets both in one delta. */
  #publish(down: ResourceDelta, up: ResourceDelta): void {
    this.#splitter.configured(down);
    const released = this.#removals.release();
    this.#splitter.reported(released.report);
    const splits = this.#splitter.flush();
    this.down.publish(join(join(down, released.own), splits));
    this.up.publish(join(up, splits));
    this.#rearm();
  }

  #resplit(): void {
    const nothing = { upserts: [], removals: [] };
    this.#publish(nothing, nothing);
  }

  /** Once for everything that this turn of the event loop brings: answers about routes come by the hundred. */
  #resplitSoon(): void {
    if (this.#resplitQueued) return;
    this.#resplitQueued = true;
    setImmediate(() => {
      this.#resplitQueued = false;
      this.#resplit();
    });
  }

  #checkComplete(): void {
    if (this.#listed && this.#options.ledger.held() !== undefined) this.#complete.resolve();
  }

  /** Splits change by time alone too (holdFor, drain), and held removals go. */
  async #keepTime(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const changed = new AbortController();
      this.#rearm = () => changed.abort();
      const due = Math.min(this.#splitter.dueIn() ?? HOUR_MS, this.#removals.dueIn() ?? HOUR_MS);
      try {
        await this.#options.clock.sleep(due, AbortSignal.any([signal, changed.signal]));
      } catch {
        continue; // rearmed or ended
      }
      this.#resplit();
    }
  }
}

function join(first: ResourceDelta, second: ResourceDelta): ResourceDelta {
  return { upserts: [...first.upserts, ...second.upserts], removals: [...first.removals, ...second.removals] };
}
