import type {
  CertificateItem,
  ClusterItem,
  EventItem,
  HostItem,
  IngressItem,
  ItemKind,
  Item,
  NodeItem,
  PolicyItem,
  RouteItem,
} from '../hub/api/types.ts';
import { type Column, age, percent } from './output.ts';

const clusters: readonly Column<ClusterItem>[] = [
  { title: 'NAME', value: (item) => item.name },
  { title: 'CONNECTED', value: (item) => item.connected },
  { title: 'STATE', value: (item) => clusterState(item) },
  { title: 'NODES', value: (item) => `${item.nodes_ready}/${item.nodes}` },
  { title: 'ROUTES', value: (item) => item.routes },
  { title: 'PROBLEMS', value: (item) => item.problems },
  { title: 'HEARD', value: (item) => age(item.age_s) },
  { title: 'REVISION', value: (item) => item.revision, wide: true },
  { title: 'LIVE', value: (item) => item.live_revision, wide: true },
  { title: 'VERSION', value: (item) => item.version, wide: true },
  { title: 'ENROLMENT', value: (item) => item.enrolment, wide: true },
  { title: 'LABELS', value: (item) => pairs(item.labels), wide: true },
];

const nodes: readonly Column<NodeItem>[] = [
  { title: 'CLUSTER', value: (item) => item.cluster },
  { title: 'NAME', value: (item) => item.name },
  { title: 'READY', value: (item) => item.ready },
  { title: 'REVISION', value: (item) => item.revision },
  { title: 'HAPROXY', value: (item) => item.haproxy },
  { title: 'GATEWAY', value: (item) => item.gateway },
  { title: 'AGENT', value: (item) => item.agent, wide: true },
];

const routes: readonly Column<RouteItem>[] = [
  { title: 'HOST', value: (item) => item.host },
  { title: 'PATH', value: (item) => item.path },
  { title: 'TYPE', value: (item) => item.path_type },
  { title: 'NAMESPACE', value: (item) => item.namespace },
  { title: 'READY', value: (item) => item.clusters.map(({ name, ready }) => `${name}:${ready}`).join(' ') },
  {
    title: 'LIVE',
    value: (item) => item.clusters.map(({ name, live }) => `${name}:${live}`).join(' '),
    wide: true,
  },
  { title: 'SHARES', value: (item) => shares(item.shares) },
  { title: 'PROBLEMS', value: (item) => item.problems },
  { title: 'ID', value: (item) => item.id, wide: true },
];

const hosts: readonly Column<HostItem>[] = [
  { title: 'NAME', value: (item) => item.name },
  { title: 'NAMESPACE', value: (item) => item.namespace },
  { title: 'ROUTES', value: (item) => item.routes },
  { title: 'CLUSTERS', value: (item) => item.clusters.join(',') },
  { title: 'CONFLICTS', value: (item) => item.conflicts },
  { title: 'RELEASED', value: (item) => item.released, wide: true },
];

const ingresses: readonly Column<IngressItem>[] = [
  { title: 'CLUSTER', value: (item) => item.cluster },
  { title: 'NAMESPACE', value: (item) => item.namespace },
  { title: 'NAME', value: (item) => item.name },
  { title: 'ACCEPTED', value: (item) => item.accepted },
  { title: 'REASON', value: (item) => item.reason },
  { title: 'HOSTS', value: (item) => item.hosts.join(',') },
  { title: 'PROBLEMS', value: (item) => item.problems },
  { title: 'RULES', value: (item) => item.rules, wide: true },
  { title: 'GENERATION', value: (item) => item.generation, wide: true },
  { title: 'HELD BY', value: (item) => item.held_by, wide: true },
];

const policies: readonly Column<PolicyItem>[] = [
  { title: 'KIND', value: (item) => item.kind },
  { title: 'NAMESPACE', value: (item) => item.namespace },
  { title: 'NAME', value: (item) => item.name },
  { title: 'CLUSTER', value: (item) => item.cluster ?? 'hub' },
  { title: 'ACCEPTED', value: (item) => item.accepted },
  { title: 'REASON', value: (item) => item.reason },
  { title: 'GENERATION', value: (item) => item.generation, wide: true },
  { title: 'REVISION', value: (item) => item.revision, wide: true },
  { title: 'FIELD', value: (item) => item.field, wide: true },
  { title: 'MESSAGE', value: (item) => withRemedy(item), wide: true },
];

const certificates: readonly Column<CertificateItem>[] = [
  { title: 'CLUSTER', value: (item) => item.cluster },
  { title: 'NAMESPACE', value: (item) => item.namespace },
  { title: 'NAME', value: (item) => item.name },
  { title: 'EXPIRES', value: (item) => item.not_after },
  { title: 'HOSTS', value: (item) => item.dns_names.join(',') },
  { title: 'KEY', value: (item) => item.key_type, wide: true },
  { title: 'FINGERPRINT', value: (item) => item.fingerprint, wide: true },
];

const events: readonly Column<EventItem>[] = [
  { title: 'SEVERITY', value: (item) => item.severity },
  { title: 'CODE', value: (item) => item.code },
  { title: 'CLUSTER', value: (item) => (item.cluster === '' ? 'hub' : item.cluster) },
  { title: 'OBJECT', value: (item) => objectName(item) },
  { title: 'FIELD', value: (item) => item.field },
  { title: 'MESSAGE', value: (item) => withRemedy(item) },
  { title: 'PLACE', value: (item) => item.place },
];

const tables = { clusters, nodes, routes, hosts, ingresses, policies, certificates, events } as const;

/** The columns of a kind; its items are what the hub sends for that kind. */
export function columnsOf(kind: ItemKind): readonly Column<Item>[] {
  return tables[kind] as unknown as readonly Column<Item>[];
}

/** What tells an item from the others of its kind: the name that -o name prints. */
export function nameOf(kind: ItemKind, item: Item): string {
  const text = (field: string) => {
    const value = item[field];
    return typeof value === 'string' ? value : '-';
  };
  switch (kind) {
    case 'clusters':
    case 'hosts':
      return text('name');
    case 'routes':
      return `${text('host')}${text('path')}:${text('path_type')}`;
    case 'nodes':
      return `${text('cluster')}/${text('name')}`;
    case 'ingresses':
    case 'certificates':
      return `${text('cluster')}/${text('namespace')}/${text('name')}`;
    case 'policies':
      return `${text('cluster')}/${text('kind')}/${text('namespace')}/${text('name')}`;
    case 'events':
      return ['code', 'cluster', 'kind', 'namespace', 'name', 'field'].map(text).join('/');
    default:
      return kind satisfies never;
  }
}

function clusterState(item: ClusterItem): string {
  const states = [
    ...(item.cordoned ? ['cordoned'] : []),
    ...(item.stale_s > 0 ? [`stale ${age(item.stale_s)}`] : []),
    ...(item.age_s === null && !item.connected ? ['unknown'] : []),
  ];
  return states.length === 0 ? 'ok' : states.join(', ');
}

export function objectName({ kind, namespace, name }: Pick<EventItem, 'kind' | 'namespace' | 'name'>): string {
  return `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
}

function withRemedy({ message, remedy }: { readonly message: string; readonly remedy: string }): string {
  return remedy === '' ? message : `${message}; ${remedy}`;
}

function shares(entries: RouteItem['shares']): string {
  return Object.entries(entries)
    .map(([entry, split]) => {
      const parts = Object.entries(split).map(([cluster, share]) => `${cluster} ${percent(share)}`);
      return `${entry}→${parts.length === 0 ? 'none' : parts.join(' ')}`;
    })
    .join('; ');
}

function pairs(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}
