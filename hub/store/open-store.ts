import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { HeadgateError, unreachable } from '../../lib/errors.ts';
import { openEmbeddedStore } from './embedded.ts';
import type { EtcdSettings } from './etcd/settings.ts';
import type { Store } from './store.ts';

/** Which store, and how to get at it. */
export type StoreChoice =
  | { readonly kind: 'embedded'; readonly folder: string }
  | { readonly kind: 'etcd'; readonly settings: EtcdSettings };

/** @throws HeadgateError as openEmbeddedStore and openEtcdStore do */
export async function openStore(
  choice: StoreChoice,
  around: { readonly clock: Clock; readonly log: Log },
): Promise<Store> {
  switch (choice.kind) {
    case 'embedded':
      return await openEmbeddedStore({ folder: choice.folder, ...around });
    case 'etcd': {
      // A hub with a store of its own needs none of etcd's client.
      const { openEtcdStore } = await import('./etcd/etcd-store.ts').catch((cause: unknown) => {
        throw new HeadgateError('HG2001', 'this build of Headgate has no client of etcd', {
          cause,
          remedy: 'run the hub from a checkout, or use --store embedded',
        });
      });
      return await openEtcdStore({ settings: choice.settings, ...around });
    }
    default:
      return unreachable(choice);
  }
}
