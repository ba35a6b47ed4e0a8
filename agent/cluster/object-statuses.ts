import type { ResourceDelta } from '../../lib/sync/index.ts';
import { ObjectStatus } from '../../proto/gen/headgate/v1/configured.ts';

/** @param changed names, `<kind>/<namespace>/<name>`, whose status came, changed or went. */
export type StatusListener = (changed: ReadonlySet<string>) => void;

/** What the hub says of this cluster's own objects. It is for whoever writes their status: nodes do not get it. */
export class ObjectStatuses {
  readonly #byName = new Map<string, ObjectStatus>();
  readonly #listeners = new Set<StatusListener>();

  /** By `<kind>/<namespace>/<name>`. */
  get all(): ReadonlyMap<string, ObjectStatus> {
    return this.#byName;
  }

  /** @returns what ends it. */
  onChange(listener: StatusListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Takes what is a status out of what the hub sent, whose bodies have been found decodable.
   *
   * @returns the rest
   */
  take({ upserts, removals }: ResourceDelta): ResourceDelta {
    const changed = new Set<string>();
    for (const { type, name, body } of upserts) {
      if (type !== 'status') continue;
      this.#byName.set(name, ObjectStatus.decode(body));
      changed.add(name);
    }
    for (const { type, name } of removals) if (type === 'status' && this.#byName.delete(name)) changed.add(name);
    if (changed.size > 0) for (const listener of this.#listeners) listener(changed);
    return {
      upserts: upserts.filter(({ type }) => type !== 'status'),
      removals: removals.filter(({ type }) => type !== 'status'),
    };
  }
}
