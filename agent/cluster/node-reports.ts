import {
  Inventory,
  resource,
  type Publication,
  type ReceiverSink,
  type Refusal,
  type ResourceDelta,
} from '../../lib/sync/index.ts';
import { Verdict } from '../../proto/gen/headgate/v1/reported.ts';
import { decodable } from '../decoding.ts';

/**
 * What the nodes say, summed for the hub: their `node` resources under the name the TLS session gives, and one
 * `verdict` per resource that at least one node rejected. A resource without a verdict is programmed wherever
 * the node's revision has passed it. Kept in memory: a node that reconnects tells it again.
 */
export class NodeReports {
  readonly #up: Publication;
  readonly #inventories = new Map<string, Inventory>();
  readonly #sinks = new Map<string, ReceiverSink>();

  constructor(up: Publication) {
    this.#up = up;
  }

  /** The same object for every stream of a node: its copy is one. */
  sink(node: string): ReceiverSink {
    const known = this.#sinks.get(node);
    if (known !== undefined) return known;
    const inventory = new Inventory();
    const sink: ReceiverSink = {
      inventory,
      held: () => undefined,
      accept: async (delta) => await Promise.resolve(this.#accept(node, inventory, delta)),
    };
    this.#inventories.set(node, inventory);
    this.#sinks.set(node, sink);
    return sink;
  }

  #accept(node: string, inventory: Inventory, delta: ResourceDelta): readonly Refusal[] {
    const { upserts: decoded, removals, refusals } = decodable(delta, ['node']);
    // The node's name is the TLS session's; a node resource under another name is not believed.
    const upserts = decoded.filter(({ type, name }) => type !== 'node' || name === node);
    inventory.apply({ upserts, removals });
    const verdicts = new Set(
      [...upserts, ...removals].filter(({ type }) => type === 'verdict').map(({ name }) => name),
    );
    this.#up.publish({ upserts: upserts.filter(({ type }) => type === 'node'), removals: [] });
    for (const name of verdicts) this.#sum(name);
    return refusals;
  }

  #sum(name: string): void {
    const said = [...this.#inventories].flatMap(([node, inventory]) => {
      const one = inventory.get('verdict', name);
      return one === undefined ? [] : [{ node, verdict: Verdict.decode(one.body) }];
    });
    const [first] = said;
    if (first === undefined) {
      this.#up.publish({ upserts: [], removals: [{ type: 'verdict', name }] });
      return;
    }
    const nodes = this.#inventories.size;
    const summed = Verdict.encode({
      ...first.verdict,
      nodes,
      programmed: nodes - said.length,
      // Each under the name that the TLS session gives, whatever name is in it.
      rejections: said.flatMap(({ node, verdict }) => verdict.rejections.map((one) => ({ ...one, node }))),
    }).finish();
    this.#up.publish({ upserts: [resource('verdict', name, summed)], removals: [] });
  }
}
