import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { ApiError, type ApiResource, type KubernetesClient, Reflector } from '../../lib/kubernetes/index.ts';
import type { KubernetesObject } from '../../lib/kubernetes/index.ts';
import type { Log } from '../../lib/log.ts';
import { type ObjectRef, objectTitle } from '../../lib/manifest/manifest.ts';
import { pluralOf } from '../../lib/policy/custom-resources/definition.ts';
import type { Finding } from '../../lib/policy/custom-resources/conditions.ts';
import { API_VERSION, type PolicyKind, policyKinds } from '../../lib/policy/schemas.ts';
import type { Caller } from '../api/caller.ts';
import { applyManifests } from '../api/write/objects.ts';
import type { PolicyWriter } from '../api/write/policy-writer.ts';
import type { Store } from '../store/store.ts';
import { deleteOrigin, putOrigin, readOrigin, withOrigin } from './origins.ts';
import { Pending, type Told } from './pending.ts';
import { type FleetStanding, ResourceStatus } from '../../lib/policy/custom-resources/resource-status.ts';

export interface HubResourcesOptions {
  readonly client: KubernetesClient;
  readonly store: Store;
  readonly writer: PolicyWriter;
  /** Resolves when a revision is in force. */
  readonly reached: (revision: bigint) => Promise<void>;
  /** What became of an object at the hub, now. */
  readonly standing: (ref: ObjectRef) => FleetStanding;
  /** Calls back when a standing may have changed. @returns what ends it. */
  readonly onChange: (listener: () => void) => () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** As whom the audit names it. */
const caller: Caller = { name: 'kubernetes', role: 'operator' };
/** Milliseconds for which changes of the fleet are gathered before statuses are looked at, and until another attempt. */
const HOLD_MS = 500;
const RETRY_MS = 5_000;

const kinds = Object.keys(policyKinds) as PolicyKind[];

/** What is known of one custom resource. */
interface Known {
  readonly ref: ObjectRef;
  readonly uid: string;
  readonly generation: number;
  /** Why it was not taken; empty where it was. */
  readonly refusal: readonly Finding[];
  readonly status: ResourceStatus;
}

/**
 * Headgate's kinds in the hub's own cluster. A custom resource is written to the store as `headgate apply` would when
 * it is made and when its spec changes; when it goes, what came from it goes. Its status says what became of it.
 */
export class HubResources {
  readonly #options: HubResourcesOptions;
  readonly #pending = new Pending(() => this.#wake());
  readonly #known = new Map<string, Known>();
  #isDue = false;
  #wake = (): void => undefined;

  constructor(options: HubResourcesOptions) {
    this.#options = options;
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { client, clock, log, onChange } = this.#options;
    const reflectors = kinds.map(
      (kind) => new Reflector({ client, resource: resourceOf(kind), reflected: this.#pending.of(kind), clock, log }),
    );
    const end = onChange(() => void this.#wakeLater(signal));
    try {
      await Promise.all([...reflectors.map(async (reflector) => await reflector.run(signal)), this.#work(signal)]);
    } finally {
      end();
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      const isDone = await this.#round(signal);
      await this.#pause(isDone ? undefined : RETRY_MS, AbortSignal.any([signal, woken.signal]));
    }
  }

  async #wakeLater(signal: AbortSignal): Promise<void> {
    if (this.#isDue) return;
    this.#isDue = true;
    await this.#pause(HOLD_MS, signal);
    this.#isDue = false;
    this.#wake();
  }

  /** @returns false where something must be tried again. */
  async #round(signal: AbortSignal): Promise<boolean> {
    const { log } = this.#options;
    let isDone = true;
    const attempt = async (ref: ObjectRef, work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        if (signal.aborted) return;
        isDone = false;
        log.warn('a custom resource is tried again', { object: objectTitle(ref), error });
      }
    };
    const complete = this.#pending.takeComplete();
    for (const told of this.#pending.take()) {
      await attempt(told.ref, async () => {
        try {
          await this.#takeIn(told);
        } catch (thrown) {
          this.#pending.putBack(told);
          throw thrown;
        }
      });
    }
    // One that could not be taken in is there all the same.
    if (!isDone) this.#pending.putBackComplete(complete);
    for (const kind of isDone ? complete : []) {
      for (const ref of await withOrigin(this.#options.store, kind))
        if (!this.#known.has(objectTitle(ref))) await attempt(ref, async () => await this.#remove(ref));
    }
    for (const known of this.#known.values()) await attempt(known.ref, async () => await this.#tell(known, signal));
    return isDone;
  }

  async #takeIn({ ref, object }: Told): Promise<void> {
    const title = objectTitle(ref);
    if (object === undefined) {
      this.#known.delete(title);
      return await this.#remove(ref);
    }
    const { uid = '', generation } = object.metadata;
    const from = { uid, generation: typeof generation === 'number' ? generation : 0 };
    const known = this.#known.get(title);
    // Its status changed, which is what this writes.
    if (known?.uid === from.uid && known.generation === from.generation) return;
    const origin = await readOrigin(this.#options.store, ref);
    // What the hub was told of it since, by `headgate cordon` for example, stands until its spec changes.
    const isTaken = origin?.uid === from.uid && origin.generation === from.generation;
    const refusal = isTaken ? [] : await this.#apply(ref, object, from);
    this.#known.set(title, { ref, ...from, refusal, status: ResourceStatus.of(object) });
  }

  /** @returns why it was refused. */
  async #apply(
    ref: ObjectRef,
    object: KubernetesObject,
    from: { uid: string; generation: number },
  ): Promise<Finding[]> {
    const { writer, reached } = this.#options;
    const { kind, namespace, name } = ref;
    const metadata = { name, ...(namespace === '' ? {} : { namespace }) };
    const marking: Pick<PolicyWriter, 'change'> = {
      change: async (by, of, decide, options) =>
        await writer.change(by, of, decide, { ...options, alongside: [putOrigin(ref, from)] }),
    };
    const manifests = JSON.stringify({ apiVersion: API_VERSION, kind, metadata, spec: object['spec'] });
    const { results } = await applyManifests(marking, caller, { manifests, source: objectTitle(ref) });
    const [result] = results;
    if (typeof result?.revision === 'string') await reached(BigInt(result.revision));
    if (result === undefined || result.error === null) return [];
    const { code, field = '', message, remedy = '' } = result.error;
    // Not the object's fault.
    if (!code.startsWith('HG1') && !code.startsWith('HG5')) throw new HeadgateError('HG4001', message);
    return [{ accepted: false, reason: 'Invalid', code, field, message, remedy }];
  }

  /** Only what came from a custom resource. */
  async #remove(ref: ObjectRef): Promise<void> {
    const { store, writer } = this.#options;
    if ((await readOrigin(store, ref)) === undefined) return;
    const alongside = [deleteOrigin(ref)];
    const { action } = await writer.change(caller, ref, () => undefined, { alongside });
    // Somebody deleted the policy before.
    if (action === 'unchanged') await store.transact({ operations: alongside });
  }

  async #tell({ ref, generation, refusal, status }: Known, signal: AbortSignal): Promise<void> {
    const { client, clock, standing } = this.#options;
    const { findings, fleet } = standing(ref);
    const next = status.next(refusal.length > 0 ? refusal : findings, fleet, generation, clock.wall());
    if (next === undefined) return;
    const { namespace, name } = ref;
    const metadata = { name, ...(namespace === '' ? {} : { namespace }) };
    const options = { fieldManager: 'headgate-hub', force: true, subresource: 'status' } as const;
    try {
      await client.apply(resourceOf(ref.kind as PolicyKind), { metadata, status: next }, options, signal);
      status.told(next);
    } catch (thrown) {
      // It has gone, and will be told to have.
      if (!(thrown instanceof ApiError) || thrown.status !== 404) throw thrown;
    }
  }

  async #pause(ms: number | undefined, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.clock.sleep(ms ?? 3_600_000, signal);
    } catch {
      // woken or ended
    }
  }
}

function resourceOf(kind: PolicyKind): ApiResource {
  const [group = '', version = ''] = API_VERSION.split('/');
  return { group, version, plural: pluralOf(kind), kind, namespaced: policyKinds[kind].namespaced };
}
