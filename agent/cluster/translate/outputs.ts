import { unreachable } from '../../../lib/errors.ts';
import { resource, type Resource, type ResourceDelta, type ResourceKey } from '../../../lib/sync/index.ts';
import { Certificate, Endpoints } from '../../../proto/gen/headgate/v1/configured.ts';
import { CertificateInfo, Ingress, Policy, Problem, Service } from '../../../proto/gen/headgate/v1/reported.ts';
import type { SourceChange } from '../source.ts';
import { problemName } from './problems.ts';

/** What was derived from one object. */
export type Derived =
  | { readonly type: 'ingress'; readonly body: Ingress }
  | { readonly type: 'service'; readonly body: Service }
  | { readonly type: 'policy'; readonly body: Policy }
  | { readonly type: 'certificate'; readonly body: CertificateInfo }
  | { readonly type: 'problem'; readonly body: Problem }
  | { readonly type: 'endpoints'; readonly name: string; readonly body: Endpoints }
  | { readonly type: 'own-certificate'; readonly body: Certificate };

const ownTypes: ReadonlySet<string> = new Set(['endpoints', 'own-certificate'] satisfies Derived['type'][]);

function encode(derived: Derived): Resource {
  switch (derived.type) {
    case 'ingress':
      return resource(
        derived.type,
        `${derived.body.namespace}/${derived.body.name}`,
        Ingress.encode(derived.body).finish(),
      );
    case 'service':
      return resource(
        derived.type,
        `${derived.body.namespace}/${derived.body.name}`,
        Service.encode(derived.body).finish(),
      );
    case 'policy': {
      const { kind, namespace, name } = derived.body;
      return resource(derived.type, `${kind}/${namespace}/${name}`, Policy.encode(derived.body).finish());
    }
    case 'certificate': {
      const { namespace, secret } = derived.body;
      return resource(derived.type, `${namespace}/${secret}`, CertificateInfo.encode(derived.body).finish());
    }
    case 'problem':
      return resource(derived.type, problemName(derived.body), Problem.encode(derived.body).finish());
    case 'endpoints':
      return resource(
        derived.type,
        `${derived.body.namespace}/${derived.name}`,
        Endpoints.encode(derived.body).finish(),
      );
    case 'own-certificate': {
      const { namespace, secret } = derived.body;
      return resource(derived.type, `${namespace}/${secret}`, Certificate.encode(derived.body).finish());
    }
    default:
      return unreachable(derived);
  }
}

const keyOf = ({ type, name }: ResourceKey): string => `${type} ${name}`;

/**
 * Every resource there is, by what it was derived from, and what of that has not been taken yet. Two owners
 * may say the same problem (a file and the last good state of its object): the first by name is shown.
 */
export class Outputs {
  readonly #byOwner = new Map<string, readonly Resource[]>();
  readonly #byKey = new Map<string, Map<string, Resource>>();
  /** What the last `take` left at its reader. */
  readonly #taken = new Map<string, Resource>();
  readonly #touched = new Map<string, ResourceKey>();

  /** Everything that `owner` derives now; nothing removes it. */
  replace(owner: string, derived: readonly Derived[]): void {
    for (const old of this.#byOwner.get(owner) ?? []) {
      const owners = this.#byKey.get(keyOf(old));
      owners?.delete(owner);
      if (owners?.size === 0) this.#byKey.delete(keyOf(old));
      this.#touched.set(keyOf(old), old);
    }
    const resources = derived.map(encode);
    if (resources.length === 0) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, resources);
    for (const next of resources) {
      const owners = this.#byKey.get(keyOf(next)) ?? new Map<string, Resource>();
      this.#byKey.set(keyOf(next), owners.set(owner, next));
      this.#touched.set(keyOf(next), next);
    }
  }

  /** What changed since the last call. */
  take(): SourceChange {
    const report = { upserts: [] as Resource[], removals: [] as ResourceKey[] };
    const own = { upserts: [] as Resource[], removals: [] as ResourceKey[] };
    for (const [key, { type, name }] of this.#touched) {
      const delta = ownTypes.has(type) ? own : report;
      const next = this.#current(key);
      const before = this.#taken.get(key);
      if (next === undefined) {
        if (before !== undefined) delta.removals.push({ type, name });
        this.#taken.delete(key);
      } else if (next.digest !== before?.digest) {
        delta.upserts.push(next);
        this.#taken.set(key, next);
      }
    }
    this.#touched.clear();
    return { report: report satisfies ResourceDelta, own: own satisfies ResourceDelta };
  }

  #current(key: string): Resource | undefined {
    const owners = this.#byKey.get(key);
    if (owners === undefined) return undefined;
    const [first] = owners.size === 1 ? owners.keys() : [...owners.keys()].sort();
    return first === undefined ? undefined : owners.get(first);
  }
}
