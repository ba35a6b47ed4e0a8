import type { ApiResource, KubernetesObject, ObjectName } from '../../../../lib/kubernetes/index.ts';

/** Who applies statuses; its fields are told from those of other controllers by this name. */
export const FIELD_MANAGER = 'headgate';
/** The hub's, where its own cluster is a member too: what it writes is not written here again. */
const HUB_MANAGER = 'headgate-hub';

/** What the API server last showed of an object that has a status of ours. */
export interface SeenObject extends ObjectName {
  readonly resource: ApiResource;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion: string;
  /** Unchecked. */
  readonly status: unknown;
  /** Fields of the status are ours. */
  readonly isOurs: boolean;
  /** The status is the hub's to write. */
  readonly isHubs: boolean;
}

/** The objects whose status this agent may write, as the source's own watches show them. */
export class SeenObjects {
  readonly #kinds: ReadonlySet<string>;
  readonly #objects = new Map<string, SeenObject>();
  readonly #listeners = new Set<(key: string) => void>();

  /** @param kinds those that have a status of ours */
  constructor(kinds: Iterable<string>) {
    this.#kinds = new Set(kinds);
  }

  /** By `<kind>/<namespace>/<name>`, as ObjectStatuses has it. */
  get(key: string): SeenObject | undefined {
    return this.#objects.get(key);
  }

  keys(): Iterable<string> {
    return this.#objects.keys();
  }

  /** As a watch shows it, or a write's answer: whichever is the newer. */
  upsert(resource: ApiResource, object: KubernetesObject): void {
    if (!this.#kinds.has(resource.kind)) return;
    const { namespace = '', name, uid = '', resourceVersion = '', generation } = object.metadata;
    const key = keyOf(resource, { namespace, name });
    const known = this.#objects.get(key);
    if (known?.uid === uid && isOlder(resourceVersion, known.resourceVersion)) return;
    this.#objects.set(key, {
      resource,
      namespace,
      name,
      uid,
      generation: typeof generation === 'number' ? generation : 0,
      resourceVersion,
      status: object['status'],
      isOurs: managesStatus(object, FIELD_MANAGER),
      isHubs: managesStatus(object, HUB_MANAGER),
    });
    this.#tell(key);
  }

  remove(resource: ApiResource, name: ObjectName): void {
    const key = keyOf(resource, name);
    if (this.#objects.delete(key)) this.#tell(key);
  }

  onChange(listener: (key: string) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  #tell(key: string): void {
    for (const listener of this.#listeners) listener(key);
  }
}

function keyOf({ kind }: ApiResource, { namespace, name }: ObjectName): string {
  return `${kind}/${namespace}/${name}`;
}

/** Versions of one kind count up; where they are no numbers what comes later is taken. */
function isOlder(a: string, b: string): boolean {
  return /^\d+$/.test(a) && /^\d+$/.test(b) && BigInt(a) < BigInt(b);
}

/** Whether a field manager owns anything below `status` that has a value. */
function managesStatus({ metadata }: KubernetesObject, manager: string): boolean {
  const { managedFields } = metadata;
  if (!Array.isArray(managedFields)) return false;
  return managedFields.some((entry: unknown) => {
    if (!isRecord(entry) || entry['manager'] !== manager || entry['subresource'] !== 'status') return false;
    const fields = entry['fieldsV1'];
    const status = isRecord(fields) ? fields['f:status'] : undefined;
    return isRecord(status) && Object.keys(status).length > 0;
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
