import type { HubView } from '../../view.ts';
import type { Store } from '../../store/store.ts';
import { writtenSpecs } from '../policy-key.ts';
import type { Item, ItemKind, KindListResponse } from '../types.ts';
import { clusterItems, nodeItems } from './cluster-items.ts';
import { eventItems } from './event-items.ts';
import { parseKind } from './kinds.ts';
import { certificateItems, ingressItems, policyItems } from './object-items.ts';
import { hostItems, routeItems } from './route-items.ts';

export interface ListQuery {
  readonly kind: string;
  /** NAME, NAMESPACE/NAME or CLUSTER/NAMESPACE/NAME; a route by its host, HOST/PATH or id. */
  readonly name: string | undefined;
  readonly namespace: string | undefined;
}

/** What `get KIND [NAME]` shows. @throws HeadgateError HG2001 unknown kind */
export async function list(view: HubView, store: Store, query: ListQuery): Promise<KindListResponse> {
  const { kind, policyKind } = parseKind(query.kind);
  const items = (await itemsOf(view, store, kind)).filter(
    (item) =>
      (policyKind === undefined || item['kind'] === policyKind) &&
      (query.namespace === undefined || item['namespace'] === query.namespace) &&
      (query.name === undefined || names(kind, item).includes(query.name)),
  );
  return { kind, items, revision: view.state().revision.toString() };
}

async function itemsOf(view: HubView, store: Store, kind: ItemKind): Promise<readonly Item[]> {
  switch (kind) {
    case 'routes':
      return asItems(routeItems(view));
    case 'hosts':
      return asItems(hostItems(view));
    case 'ingresses':
      return asItems(ingressItems(view));
    case 'clusters':
      return asItems(clusterItems(view));
    case 'nodes':
      return asItems(nodeItems(view));
    case 'policies':
      return asItems(policyItems(view, await writtenSpecs(store)));
    case 'certificates':
      return asItems(certificateItems(view));
    case 'events':
      return asItems(eventItems(view));
    default:
      return kind satisfies never;
  }
}

function asItems(items: readonly object[]): readonly Item[] {
  return items as readonly Item[];
}

/** Every name that an item goes by. */
function names(kind: ItemKind, item: Item): readonly unknown[] {
  const { name, namespace, cluster } = item;
  switch (kind) {
    case 'routes':
      return [item['id'], item['host'], `${String(item['host'])}${String(item['path'])}`];
    case 'hosts':
    case 'clusters':
      return [name];
    case 'nodes':
      return [name, `${String(cluster)}/${String(name)}`];
    case 'ingresses':
    case 'policies':
    case 'certificates':
    case 'events': {
      const short = `${String(namespace)}/${String(name)}`;
      return [name, short, `${String(cluster)}/${short}`];
    }
    default:
      return kind satisfies never;
  }
}
