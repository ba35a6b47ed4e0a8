import type { KubernetesObject, Reflected } from '../../lib/kubernetes/index.ts';
import { type ObjectRef, objectTitle } from '../../lib/manifest/manifest.ts';
import type { PolicyKind } from '../../lib/policy/schemas.ts';

/** What the API server told of one object; without one it has gone. */
export interface Told {
  readonly ref: ObjectRef;
  readonly object: KubernetesObject | undefined;
}

/** What has been told and not been worked off, the newest of each object; and of which kinds all has been told. */
export class Pending {
  readonly #told = new Map<string, Told>();
  readonly #complete = new Set<PolicyKind>();
  readonly #wake: () => void;

  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** For the reflector of a kind. */
  of(kind: PolicyKind): Reflected {
    return {
      upsert: (object) => {
        const { namespace = '', name } = object.metadata;
        this.put({ ref: { kind, namespace, name }, object });
      },
      remove: ({ namespace, name }) => this.put({ ref: { kind, namespace, name }, object: undefined }),
      synced: () => {
        this.#complete.add(kind);
        this.#wake();
      },
    };
  }

  put(told: Told): void {
    this.#told.set(objectTitle(told.ref), told);
    this.#wake();
  }

  /** Unless something newer of the object has been told meanwhile. */
  putBack(told: Told): void {
    if (!this.#told.has(objectTitle(told.ref))) this.#told.set(objectTitle(told.ref), told);
  }

  /** Kinds whose complete list has been told and not been taken. */
  takeComplete(): readonly PolicyKind[] {
    const kinds = [...this.#complete];
    this.#complete.clear();
    return kinds;
  }

  putBackComplete(kinds: readonly PolicyKind[]): void {
    for (const kind of kinds) this.#complete.add(kind);
  }

  take(): readonly Told[] {
    const told = [...this.#told.values()];
    this.#told.clear();
    return told;
  }
}
