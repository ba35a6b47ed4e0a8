import type { Clock } from '../../lib/clock.ts';
import { compare } from '../../lib/compare.ts';
import {
  Inventory,
  resource,
  type Publication,
  type ReceiverSink,
  type Refusal,
  type ResourceDelta,
} from '../../lib/sync/index.ts';
import { BackendHealth, Verdict } from '../../proto/gen/headgate/v1/reported.ts';
import { decodable } from '../decoding.ts';
import { Pace } from './pace.ts';

/** A node that has been gone for this long has left the cluster. */
const GONE_MS = 120_000;
/** Between two reports of one backend's health: pods that come and go at many nodes are news once. */
const HEALTH_EVERY_MS = 1_000;

/**
 * What the nodes say, summed for the hub: their `node` resources under the name the TLS session gives, one
 * `verdict` per resource that at least one node rejected, and one `health` per backend of which at least one node's
 * HAProxy has taken endpoints out. A resource without a verdict is programmed wherever the node's revision has passed
 * it. Kept in memory: a node that reconnects tells it again, and one that stays
 * away is forgotten.
 */
export class NodeReports {
  readonly #up: Publication;
  readonly #sinks = new Map<string, ReceiverSink>();
  /** Streams that run, by node. */
  readonly #streams = new Map<string, number>();
  /** Ends the wait after which a node is forgotten, by node. */
  readonly #leaving = new Map<string, AbortController>();
  /** Of the sums of health, since the first stream. */
  #pace: Pace | undefined;

  constructor(up: Publication) {
    this.#up = up;
  }

  /** A stream of the node's begins; to be disposed when it ends. */
  opened(node: string, clock: Clock, signal: AbortSignal): Disposable {
    this.#pace ??= new Pace(HEALTH_EVERY_MS, clock, signal, (name) => this.#sumHealth(name));
    this.#streams.set(node, (this.#streams.get(node) ?? 0) + 1);
    this.#leaving.get(node)?.abort();
    this.#leaving.delete(node);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#streams.get(node) ?? 1) - 1;
        if (left > 0) this.#streams.set(node, left);
        else {
          this.#streams.delete(node);
          const back = new AbortController();
          this.#leaving.set(node, back);
          void this.#forgetLater(node, clock, AbortSignal.any([signal, back.signal]));
        }
      },
    };
  }

  /** The same object for every stream of a node that is opened: its copy is one. */
  sink(node: string): ReceiverSink {
    const known = this.#sinks.get(node);
    if (known !== undefined) return known;
    const inventory = new Inventory();
    const sink: ReceiverSink = {
      inventory,
      held: () => undefined,
      accept: async (delta) => await Promise.resolve(this.#accept(node, inventory, delta)),
    };
    this.#sinks.set(node, sink);
    return sink;
  }

  async #forgetLater(node: string, clock: Clock, signal: AbortSignal): Promise<void> {
    try {
      await clock.sleep(GONE_MS, signal);
    } catch {
      return; // it came back, or the agent ends
    }
    this.#leaving.delete(node);
    const inventory = this.#sinks.get(node)?.inventory;
    if (inventory === undefined) return;
    this.#sinks.delete(node);
    this.#up.publish({ upserts: [], removals: [{ type: 'node', name: node }] });
    // Verdicts and health count nodes, so each that stands is summed anew.
    const held = [inventory, ...[...this.#sinks.values()].map((sink) => sink.inventory)];
    const names = (type: string) => new Set(held.flatMap((one) => [...one.ofType(type)].map(({ name }) => name)));
    for (const name of names('verdict')) this.#sumVerdict(name);
    for (const name of names('health')) this.#pace?.come(name);
  }

  #accept(node: string, inventory: Inventory, delta: ResourceDelta): readonly Refusal[] {
    const { upserts: decoded, removals, refusals } = decodable(delta, ['node']);
    // The node's name is the TLS session's; a node resource under another name is not believed.
    const upserts = decoded.filter(({ type, name }) => type !== 'node' || name === node);
    inventory.apply({ upserts, removals });
    const changed = (wanted: string) =>
      new Set([...upserts, ...removals].filter(({ type }) => type === wanted).map(({ name }) => name));
    this.#up.publish({ upserts: upserts.filter(({ type }) => type === 'node'), removals: [] });
    for (const name of changed('verdict')) this.#sumVerdict(name);
    for (const name of changed('health')) this.#pace?.come(name);
    return refusals;
  }

  #sumVerdict(name: string): void {
    const said = [...this.#sinks].flatMap(([node, { inventory }]) => {
      const one = inventory.get('verdict', name);
      return one === undefined ? [] : [{ node, verdict: Verdict.decode(one.body) }];
    });
    const [first] = said;
    if (first === undefined) {
      this.#up.publish({ upserts: [], removals: [{ type: 'verdict', name }] });
      return;
    }
    const nodes = this.#sinks.size;
    const summed = Verdict.encode({
      ...first.verdict,
      nodes,
      programmed: nodes - said.length,
      // Each under the name that the TLS session gives, whatever name is in it.
      rejections: said.flatMap(({ node, verdict }) => verdict.rejections.map((one) => ({ ...one, node }))),
    }).finish();
    this.#up.publish({ upserts: [resource('verdict', name, summed)], removals: [] });
  }

  #sumHealth(name: string): void {
    const said = [...this.#sinks].flatMap(([node, { inventory }]) => {
      const one = inventory.get('health', name);
      return one === undefined ? [] : [{ node, health: BackendHealth.decode(one.body) }];
    });
    const [first] = said;
    if (first === undefined) {
      this.#up.publish({ upserts: [], removals: [{ type: 'health', name }] });
      return;
    }
    const summed = BackendHealth.encode({
      ...first.health,
      nodes: this.#sinks.size,
      // Each under the name that the TLS session gives.
      impaired: said
        .flatMap(({ node, health }) => health.impaired.slice(0, 1).map((one) => ({ ...one, node })))
        .sort((a, b) => compare(a.node, b.node)),
    }).finish();
    this.#up.publish({ upserts: [resource('health', name, summed)], removals: [] });
  }
}
