import { HeadgateError } from '../../lib/errors.ts';
import type { Condition, Store } from './store.ts';

/**
 * The store as one term of leadership may write it: every transaction holds only while the leader's key is the one
 * that this term made. One that was paused, and woke when another leads, changes nothing.
 *
 * @param fence one condition more in every transaction.
 */
export function fencedStore(store: Store, fence: Condition & { readonly createRevision: bigint }): Store {
  return {
    epoch: async () => await store.epoch(),
    renewEpoch: () => Promise.reject(new HeadgateError('HG9001', 'a leader begins no epoch')),
    get: async (key) => await store.get(key),
    range: async (prefix) => await store.range(prefix),
    watch: (prefix, fromRevision, signal) => store.watch(prefix, fromRevision, signal),
    lease: async (ttl) => await store.lease(ttl),
    transact: async ({ conditions = [], operations }) => {
      const commit = await store.transact({ conditions: [fence, ...conditions], operations });
      if (!commit.committed && (await store.get(fence.key))?.createRevision !== fence.createRevision)
        throw new HeadgateError('HG4001', 'nothing was written: this hub does not lead any more');
      return commit;
    },
    // It is its opener's to close.
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
