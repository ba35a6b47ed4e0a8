import { afterAll, beforeAll, describe } from 'vitest';
import { storeContract } from '../../hub/store/contract.fixture.ts';
import type { Store } from '../../hub/store/store.ts';
import { EtcdGround, type EtcdGroundOptions, hasOldEtcd } from './ground/etcd-ground.ts';
import { compactEtcd } from './ground/raw.ts';

const grounds: readonly (readonly [string, EtcdGroundOptions])[] = [
  ['etcd 3.6', {}],
  ['etcd 3.6 over TLS with client certificates', { tls: true }],
  ...(hasOldEtcd
    ? ([
        ['etcd 3.4', { version: '3.4' }],
        ['etcd 3.4 over TLS with client certificates', { version: '3.4', tls: true }],
      ] as const)
    : []),
];

describe.each(grounds)('%s', (name, options) => {
  let ground: EtcdGround;
  let fleets = 0;
  beforeAll(async () => {
    ground = await EtcdGround.start(options);
  });
  afterAll(async () => await ground[Symbol.asyncDispose]());

  storeContract(name, async () => {
    const prefix = `/fleet-${fleets++}/`;
    let store: Store = await ground.open(prefix);
    return {
      store: () => store,
      reopen: async () => {
        await store[Symbol.asyncDispose]();
        return (store = await ground.open(prefix));
      },
      compact: async () => {
        // etcd keeps the state at the revision that it compacts to, and can tell what made it.
        await store.transact({ operations: [{ kind: 'put', key: 'filler', value: Buffer.from('x') }] });
        const { revision } = await store.range('~');
        await compactEtcd(await ground.settings(prefix), revision);
      },
      [Symbol.asyncDispose]: async () => await store[Symbol.asyncDispose](),
    };
  });
});
