import type { Clock } from '../../lib/clock.ts';
import { generalRemedy } from '../../lib/error-guide.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import {
  Publication,
  resource,
  type AcceptedDelta,
  type ReceiverSink,
  type Refusal,
  type Resource,
  type ResourceDelta,
  type ResourceKey,
} from '../../lib/sync/index.ts';
import { BackendHealth, NodeInfo, Verdict } from '../../proto/gen/headgate/v1/reported.ts';
import { decodable } from '../decoding.ts';
import type { DataPlane, EndpointsOut, ResourceVerdict } from '../haproxy/data-plane.ts';
import { isLocal, type Ledger } from '../ledger/types.ts';

export interface NodeAgentOptions {
  readonly node: string;
  readonly version: string;
  /** host:port where other clusters reach this node's gateway listener. */
  readonly gatewayAddress: () => string;
  readonly ledger: Ledger;
  readonly dataPlane: DataPlane;
  readonly clock: Clock;
  readonly log: Log;
}

/** The node's revision goes up at most this often: it is for people, not for the protocol. */
const INFO_EVERY_MS = 2_000;
/** Between two looks at the ledger's disk. */
const CHECK_EVERY_MS = 2_000;
/** First wait before a transient rejection is tried again; doubles up to the cap. */
const RETRY_MS = 1_000;
const RETRY_CAP_MS = 60_000;

/**
 * Keeps the last good configuration on disk and brings it to the local HAProxy. A delta is acknowledged when
 * the ledger has it; what HAProxy says of it follows as verdicts.
 */
export class NodeAgent {
  /** For the cluster agent. */
  readonly up = new Publication();
  readonly #options: NodeAgentOptions;
  /** Stored and not yet applied, coalesced by key. */
  readonly #queue = new Map<string, { readonly key: ResourceKey; readonly resource: Resource | undefined }>();
  readonly #rejected = new Map<
    string,
    { readonly key: ResourceKey; transient: boolean; attempts: number; retryAt: number }
  >();
  #applying: Promise<void> | undefined;
  #live = 0n;
  #informed = -Infinity;
  #leaving = false;

  constructor(options: NodeAgentOptions) {
    this.#options = options;
  }

  /** Serves from the ledger; resolves when HAProxy's listeners accept. */
  async start(): Promise<void> {
    const { dataPlane, ledger } = this.#options;
    this.judge(await dataPlane.start(ledger.inventory));
    this.#live = ledger.held()?.revision ?? 0n;
    this.#inform();
  }

  /** Receiving end of the cluster agent's Configure stream. */
  sink(): ReceiverSink {
    const { ledger } = this.#options;
    const { inventory } = ledger;
    return {
      inventory: {
        get: (type, name) => inventory.get(type, name),
        types: () => inventory.types().filter((type) => !isLocal({ type })),
        ofType: (type) => inventory.ofType(type),
        typeDigest: (type) => inventory.typeDigest(type),
      },
      held: () => ledger.held(),
      accept: async (delta) => await this.#accept(delta),
    };
  }

  /** Retries transient rejections and keeps the node's own word fresh until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    let checked = clock.now();
    while (!signal.aborted) {
      try {
        await clock.sleep(RETRY_MS, signal);
      } catch {
        return; // ended
      }
      for (const rejected of this.#rejected.values()) {
        if (!rejected.transient || clock.now() < rejected.retryAt) continue;
        this.#enqueue(rejected.key);
      }
      if (clock.now() - this.#informed >= INFO_EVERY_MS) this.#inform();
      if (clock.now() - checked >= CHECK_EVERY_MS) {
        checked = clock.now();
        await this.#options.ledger.check();
      }
    }
  }

  /** Says that the node is not ready any more, though its HAProxy still serves: it will end soon. */
  leave(): void {
    this.#leaving = true;
    this.#options.dataPlane.hold();
    this.#inform();
  }

  /** Resolves when everything stored so far has been applied. */
  async settled(): Promise<void> {
    while (this.#applying !== undefined) await this.#applying;
  }

  async #accept(delta: AcceptedDelta): Promise<readonly Refusal[]> {
    const { upserts, removals, refusals } = decodable(delta, ['hub', 'cluster']);
    await this.#options.ledger.commit({ ...delta, upserts, removals });
    for (const key of [...upserts, ...removals]) this.#enqueue(key);
    return refusals;
  }

  #enqueue({ type, name }: ResourceKey): void {
    this.#queue.set(`${type}/${name}`, {
      key: { type, name },
      resource: this.#options.ledger.inventory.get(type, name),
    });
    this.#applying ??= this.#drain().finally(() => {
      this.#applying = undefined;
    });
  }

  /** Applies what is queued, as one delta at a time, until nothing is. */
  async #drain(): Promise<void> {
    // One turn later, so that a delta's resources are applied together.
    await Promise.resolve();
    const { dataPlane, ledger, log } = this.#options;
    while (this.#queue.size > 0) {
      const revision = ledger.held()?.revision ?? 0n;
      const entries = [...this.#queue.values()];
      this.#queue.clear();
      const delta: ResourceDelta = {
        upserts: entries.flatMap((entry) => (entry.resource === undefined ? [] : [entry.resource])),
        removals: entries.flatMap((entry) => (entry.resource === undefined ? [entry.key] : [])),
      };
      try {
        this.judge(await dataPlane.apply(delta));
        this.#live = revision;
      } catch (thrown) {
        // Nothing is lost: the ledger has it, and each is tried again.
        const error = HeadgateError.from(thrown, 'HG5003');
        log.error('cannot apply', { error });
        this.judge(
          delta.upserts.map(({ type, name, digest }) => ({
            key: { type, name },
            digest,
            programmed: false,
            code: error.code,
            message: error.message,
            field: error.field,
            remedy: error.remedy,
            haproxy: undefined,
            transient: true,
          })),
        );
      }
    }
  }

  /** What HAProxy says of resources, up to the cluster agent. */
  judge(verdicts: readonly ResourceVerdict[]): void {
    const { node, clock, log } = this.#options;
    for (const verdict of verdicts) {
      const name = `${verdict.key.type}/${verdict.key.name}`;
      if (verdict.programmed) {
        this.#rejected.delete(name);
        this.up.publish({ upserts: [], removals: [{ type: 'verdict', name }] });
        continue;
      }
      const { code, message, field = '', haproxy = '', transient, key, digest } = verdict;
      const remedy = verdict.remedy ?? generalRemedy(code) ?? '';
      const attempts = (this.#rejected.get(name)?.attempts ?? 0) + 1;
      // What waits for a reload is taken in right after it.
      const wait = code === 'HG5006' ? RETRY_MS : Math.min(RETRY_CAP_MS, RETRY_MS * 2 ** (attempts - 1));
      this.#rejected.set(name, { key, transient, attempts, retryAt: clock.now() + wait });
      if (attempts === 1) log.warn('rejected', { resource: name, code, field, reason: message, haproxy, remedy });
      const body = Verdict.encode({
        type: key.type,
        name: key.name,
        digest: Buffer.from(digest, 'hex'),
        programmed: 0,
        nodes: 1,
        rejections: [{ node, code, message, haproxy, transient, field, remedy }],
      }).finish();
      this.up.publish({ upserts: [resource('verdict', name, body)], removals: [] });
    }
  }

  /** All backends that have endpoints out, up to the cluster agent; of the others what was said goes. */
  tellHealth(out: ReadonlyMap<string, EndpointsOut>): void {
    const { node } = this.#options;
    const upserts = [...out.values()].map(({ backend, live, total }) => {
      const [namespace = '', service = '', port = ''] = backend.split('/');
      const body = BackendHealth.encode({ namespace, service, port, nodes: 1, impaired: [{ node, live, total }] });
      return resource('health', backend, body.finish());
    });
    const removals = [...this.up.inventory.ofType('health')].filter(({ name }) => !out.has(name));
    this.up.publish({ upserts, removals });
  }

  #inform(): void {
    const { node, version, gatewayAddress, dataPlane, clock } = this.#options;
    const status = dataPlane.status();
    this.#informed = clock.now();
    const body = NodeInfo.encode({
      name: node,
      agentVersion: version,
      haproxyVersion: status.version,
      gatewayAddress: gatewayAddress(),
      ready: status.ready && !this.#leaving,
      revision: this.#live,
    }).finish();
    this.up.publish({ upserts: [resource('node', node, body)], removals: [] });
  }
}
