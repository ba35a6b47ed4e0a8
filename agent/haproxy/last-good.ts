import type { Code } from '../../lib/errors.ts';
import { Inventory } from '../../lib/sync/index.ts';
import type { Resource, ResourceDelta, ResourceKey } from '../../lib/sync/index.ts';
import type { ResourceVerdict } from './data-plane.ts';
import type { Change } from './model/change.ts';
import type { Failure } from './runtime/executor.ts';

/** What HAProxy has taken, to go back to, and so the verdicts on what it is given. */
export class LastGood {
  readonly #taken = new Inventory();
  /** Resources that lack the reload that HAProxy is owed. */
  readonly #owing = new Set<string>();

  /** All that HAProxy should hold when it has taken a delta. */
  with(delta: ResourceDelta): readonly Resource[] {
    const all = new Inventory();
    for (const one of this.#taken.all()) all.set(one);
    all.apply(delta);
    return [...all.all()];
  }

  /**
   * What brings resources that HAProxy refused back to their last good version, or takes them away. One that the delta
   * does not name (a certificate whose host came) has no other version than the refused one.
   */
  undoing(delta: ResourceDelta, failures: readonly Failure[]): ResourceDelta {
    const upserts = new Map<string, Resource>();
    const removals = new Map<string, ResourceKey>();
    for (const { resource } of failures) {
      if (resource === undefined) continue;
      const { type, name } = resource;
      const good = isNamed(delta, resource) ? this.#taken.get(type, name) : undefined;
      if (good === undefined) removals.set(labelOf(resource), { type, name });
      else upserts.set(labelOf(resource), good);
    }
    return { upserts: [...upserts.values()], removals: [...removals.values()] };
  }

  /** Notes what of a delta HAProxy has taken. @returns what is to be said of each resource. */
  judge(delta: ResourceDelta, change: Change, failures: readonly Failure[]): ResourceVerdict[] {
    const refused = new Map(change.rejections.map((one) => [labelOf(one.key), one]));
    // What a refused command leaves undone makes later ones fail: the first says why.
    const failed = new Map<string, Failure>();
    for (const one of failures) {
      if (one.resource !== undefined && !failed.has(labelOf(one.resource))) failed.set(labelOf(one.resource), one);
    }
    for (const key of delta.removals) if (!failed.has(labelOf(key))) this.#taken.delete(key);
    const verdicts = delta.upserts.map((resource): ResourceVerdict => {
      const { type, name, digest } = resource;
      const key = { type, name };
      const rejection = refused.get(labelOf(key));
      if (rejection !== undefined) {
        const { code, message, field, remedy, transient } = rejection;
        return { key, digest, programmed: false, code, message, field, remedy, haproxy: undefined, transient };
      }
      const failure = failed.get(labelOf(key));
      if (failure !== undefined) return refusedBy(failure, key, digest);
      this.#taken.set(resource);
      return { key, digest, programmed: true };
    });
    for (const failure of failed.values()) {
      if (failure.resource === undefined || isNamed(delta, failure.resource)) continue;
      const { type, name } = failure.resource;
      const held = this.#taken.get(type, name);
      if (held === undefined) continue;
      this.#taken.delete(failure.resource);
      verdicts.push(refusedBy(failure, { type, name }, held.digest));
    }
    return verdicts;
  }

  /** HAProxy is owed a reload for these. */
  owe(verdicts: readonly ResourceVerdict[]): void {
    for (const { key } of verdicts) this.#owing.add(labelOf(key));
  }

  /**
   * To the planner what came before and lacks its reload is nothing new.
   * @param owed why the reload failed; undefined where none is owed.
   */
  unlessOwed(verdicts: readonly ResourceVerdict[], owed: string | undefined): readonly ResourceVerdict[] {
    if (owed === undefined) {
      this.#owing.clear();
      return verdicts;
    }
    return verdicts.map((verdict) =>
      this.#owing.has(labelOf(verdict.key)) ? putOff(verdict, 'HG5002', owed) : verdict,
    );
  }
}

/** Says of what the files hold that HAProxy does not hold it yet; what was refused stays so. */
export function putOff(verdict: ResourceVerdict, code: Code, message: string): ResourceVerdict {
  if (!verdict.programmed) return verdict;
  const { key, digest } = verdict;
  const nowhere = { field: undefined, remedy: undefined, haproxy: undefined };
  return { key, digest, programmed: false, code, message, ...nowhere, transient: true };
}

function refusedBy({ command, words }: Failure, key: ResourceKey, digest: string): ResourceVerdict {
  const message = `HAProxy refused ${JSON.stringify(command)}`;
  const own = { field: undefined, remedy: undefined };
  return { key, digest, programmed: false, code: 'HG5003', message, ...own, haproxy: words, transient: false };
}

function isNamed(delta: ResourceDelta, { type, name }: ResourceKey): boolean {
  return [...delta.upserts, ...delta.removals].some((one) => one.type === type && one.name === name);
}

function labelOf({ type, name }: ResourceKey): string {
  return `${type}/${name}`;
}
