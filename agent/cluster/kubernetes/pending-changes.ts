import { objectKey, type Manifest, type ObjectRef } from '../../../lib/manifest/manifest.ts';
import type { ApiResource, KubernetesObject, ObjectName } from '../../../lib/kubernetes/index.ts';
import type { Problem } from '../../../proto/gen/headgate/v1/reported.ts';
import type { SecretFault } from '../translate/missing.ts';
import { problemOfError } from '../translate/problems.ts';
import type { ObjectChanges } from '../translate/translator.ts';
import { project } from './projection.ts';

/** What happened to objects and was not translated yet; the newest of each object wins. */
export class PendingChanges {
  #objects = new Map<string, { readonly set: Manifest } | { readonly deleted: ObjectRef }>();
  #problems = new Map<string, readonly Problem[]>();
  /** Objects of which problems were told. */
  readonly #faulty = new Set<string>();
  #unreadable = new Map<string, SecretFault | undefined>();

  /** An object that the schemas refuse keeps its last good state, and its faults are told. */
  upsert(resource: ApiResource, object: KubernetesObject): void {
    const { documents, errors } = project(resource, object);
    const ref = refOf(resource, { namespace: object.metadata.namespace ?? '', name: object.metadata.name });
    const key = objectKey(ref);
    for (const manifest of documents) this.#objects.set(key, { set: manifest });
    this.#tell(
      key,
      errors.map(({ error }) => problemOfError(error, ref)),
    );
  }

  remove(resource: ApiResource, name: ObjectName): void {
    const ref = refOf(resource, name);
    this.#objects.set(objectKey(ref), { deleted: ref });
    this.#tell(objectKey(ref), []);
  }

  /** @param secret `<namespace>/<name>` */
  unreadable(secret: string, fault: SecretFault | undefined): void {
    this.#unreadable.set(secret, fault);
  }

  #tell(key: string, problems: readonly Problem[]): void {
    if (problems.length > 0) this.#faulty.add(key);
    else if (!this.#faulty.delete(key)) return;
    this.#problems.set(key, problems);
  }

  take(): ObjectChanges {
    const set: Manifest[] = [];
    const deleted: ObjectRef[] = [];
    for (const change of this.#objects.values()) {
      if ('set' in change) set.push(change.set);
      else deleted.push(change.deleted);
    }
    const changes = { set, deleted, problems: this.#problems, unreadable: this.#unreadable };
    this.#objects = new Map();
    this.#problems = new Map();
    this.#unreadable = new Map();
    return changes;
  }
}

function refOf({ kind }: ApiResource, { namespace, name }: ObjectName): ObjectRef {
  return { kind, namespace, name };
}
