import { HeadgateError } from '../../../lib/errors.ts';
import { canonicalJson } from '../../../lib/manifest/canonical-json.ts';
import { type ObjectRef, objectTitle } from '../../../lib/manifest/manifest.ts';
import { Policy } from '../../../proto/gen/headgate/v1/reported.ts';
import type { Operation, Store } from '../../store/store.ts';
import type { Audit } from '../audit.ts';
import type { Caller } from '../caller.ts';
import { policyKey } from '../policy-key.ts';

export interface PolicyChange {
  readonly action: 'created' | 'configured' | 'unchanged' | 'deleted';
  /** Of the write; undefined when nothing was written. */
  readonly revision: bigint | undefined;
  /** Specs as written; undefined where there is none. */
  readonly before: unknown;
  readonly after: unknown;
}

export interface ChangeOptions {
  readonly dryRun?: boolean;
  /** What is written with a change, and only with one. */
  readonly alongside?: readonly Operation[];
}

/** Attempts of a write that others get in the way of. */
const ATTEMPTS = 10;

/** Changes one hub policy at a time: read, decide, write if nobody wrote in between. */
export class PolicyWriter {
  readonly #store: Store;
  readonly #audit: Audit;

  constructor(store: Store, audit: Audit) {
    this.#store = store;
    this.#audit = audit;
  }

  /**
   * @param decide the spec to have, given the one that stands; undefined for none. May be asked again when
   *   another writer was faster; what it throws ends the change.
   * @throws HeadgateError HG2008 when others write all the time
   */
  async change(
    caller: Caller,
    ref: ObjectRef,
    decide: (before: unknown) => unknown,
    { dryRun = false, alongside = [] }: ChangeOptions = {},
  ): Promise<PolicyChange> {
    const key = policyKey(ref.kind, ref.namespace, ref.name);
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const entry = await this.#store.get(key);
      const old = entry === undefined ? undefined : Policy.decode(entry.value);
      const before: unknown = old === undefined ? undefined : JSON.parse(old.specJson);
      const after = decide(before);
      const specJson = after === undefined ? undefined : canonicalJson(after);
      if (specJson === (before === undefined ? undefined : canonicalJson(before))) {
        return { action: 'unchanged', revision: undefined, before, after };
      }
      const action = specJson === undefined ? 'deleted' : old === undefined ? 'created' : 'configured';
      if (dryRun) return { action, revision: undefined, before, after };
      const what = `${action} ${objectTitle(ref)}`;
      const commit = await this.#store.transact({
        conditions: [{ key, modRevision: entry?.modRevision ?? 0n }],
        operations: [
          specJson === undefined
            ? { kind: 'delete', key }
            : {
                kind: 'put',
                key,
                value: Policy.encode({ ...ref, generation: (old?.generation ?? 0n) + 1n, specJson }).finish(),
              },
          ...alongside,
          this.#audit.record(caller, what),
        ],
      });
      if (!commit.committed) continue;
      this.#audit.committed(caller, what, commit.revision);
      return { action, revision: commit.revision, before, after };
    }
    throw new HeadgateError('HG2008', 'others keep changing it', { object: objectTitle(ref), remedy: 'try again' });
  }
}
