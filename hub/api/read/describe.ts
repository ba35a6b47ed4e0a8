import { pathTypeName } from '../../../lib/domain/rule-path.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import { laterKinds, policyKinds } from '../../../lib/policy/schemas.ts';
import { canonicalJson } from '../../../lib/manifest/canonical-json.ts';
import type { Store } from '../../store/store.ts';
import type { HubView } from '../../view.ts';
import type {
  DescribeResponse,
  DescribeSection,
  EventItem,
  IngressItem,
  Item,
  ItemKind,
  PolicyItem,
  RejectionItem,
  RouteItem,
} from '../types.ts';
import { eventItems } from './event-items.ts';
import { type ListQuery, list } from './list.ts';
import { byParts } from './order.ts';
import { routeItems } from './route-items.ts';
import { liveOf, rejectionsOf } from './troubles.ts';

type Row = DescribeSection['rows'][number];

/**
 * Everything about the objects that a name means: an Ingress of one name may stand in several clusters.
 * @throws HeadgateError HG2001 unknown kind, HG2007 nothing of that name
 */
export async function describe(view: HubView, store: Store, query: ListQuery): Promise<DescribeResponse> {
  const { kind, items } = await list(view, store, query);
  const events = eventItems(view);
  const title = `${kind} ${query.namespace === undefined ? '' : `${query.namespace}/`}${query.name ?? ''}`;
  if (items.length === 0) {
    const rows = events.filter((event) => isAbout(event, kind, query)).map((event) => eventRow(event, kind));
    // One that was wrong from the beginning is none that the hub holds, and is asked for all the more.
    if (rows.length > 0) return { title, sections: [{ title: PROBLEMS, rows }] };
    throw new HeadgateError('HG2007', `${kind} has no ${JSON.stringify((query.name ?? '').slice(0, 253))}`, {
      remedy: `see headgate get ${kind}`,
    });
  }
  return {
    title,
    sections: items.flatMap((item) => [
      { title: items.length > 1 ? titleOf(item) : 'Summary', rows: [flat(item)] },
      ...details(view, kind, item),
      {
        title: PROBLEMS,
        rows: events.filter((event) => concerns(event, kind, item)).map((event) => eventRow(event, kind)),
      },
    ]),
  };
}

const PROBLEMS = 'Conditions and problems';

/** Kinds of objects in manifests, by what they are listed as. */
const manifestKinds: Partial<Record<ItemKind, readonly string[]>> = {
  ingresses: ['Ingress'],
  certificates: ['Secret'],
  policies: [...Object.keys(policyKinds), ...laterKinds],
};

function isAbout(event: EventItem, kind: ItemKind, query: ListQuery): boolean {
  const name = event.namespace === '' ? event.name : `${event.namespace}/${event.name}`;
  return (
    manifestKinds[kind]?.includes(event.kind) === true &&
    (query.namespace === undefined || event.namespace === query.namespace) &&
    [event.name, name, `${event.cluster}/${name}`].includes(query.name ?? '')
  );
}

function titleOf(item: Item): string {
  return ['cluster', 'namespace', 'host', 'name', 'path']
    .flatMap((field) => (typeof item[field] === 'string' ? [`${field} ${item[field]}`] : []))
    .join(', ');
}

/** One row of plain values; what is deeper becomes JSON. */
function flat(item: Item): Row {
  // They have a section of their own.
  const { rejections: _, ...rest } = item;
  return Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, plain(value)]));
}

function plain(value: unknown): Row[string] {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return value;
  return typeof value === 'string' ? value : canonicalJson(value);
}

function details(view: HubView, kind: ItemKind, item: Item): readonly DescribeSection[] {
  switch (kind) {
    case 'ingresses':
      return ingressDetails(view, item as unknown as IngressItem);
    case 'clusters':
      return clusterDetails(view, String(item['name']));
    case 'hosts':
      return hostDetails(view, String(item['name']));
    case 'routes': {
      const { host, rejections } = item as unknown as RouteItem;
      return [verdictSection(view, [host]), rejectionSection(rejections)];
    }
    case 'policies':
      return [policyOrigins(view, item as unknown as PolicyItem)];
    case 'nodes':
    case 'certificates':
    case 'events':
      return [];
    default:
      return kind satisfies never;
  }
}

function hostDetails(view: HubView, host: string): readonly DescribeSection[] {
  const rejections = new Map(
    routeItems(view)
      .filter((route) => route.host === host)
      .flatMap((route) => route.rejections.map((one) => [`${one.cluster}/${one.node}/${one.resource}`, one] as const)),
  );
  return [
    routesSection(view, (route) => route.host === host),
    verdictSection(view, [host]),
    rejectionSection([...rejections.values()]),
  ];
}

function ingressDetails(view: HubView, item: IngressItem): readonly DescribeSection[] {
  const cluster = view.state().clusters.get(item.cluster);
  const ingress = cluster?.ingresses.get(`${item.namespace}/${item.name}`);
  if (cluster === undefined || ingress === undefined) return [];
  const rules = ingress.value.rules.map(({ host, path, pathType, backend }): Row => {
    const service = backend === undefined ? undefined : cluster.services.get(`${item.namespace}/${backend.service}`);
    const port = service?.ports.find(({ name, number }) =>
      backend?.portName === '' ? number === backend.portNumber : name === backend?.portName,
    );
    const at = backend?.portName === '' ? String(backend.portNumber) : (backend?.portName ?? '');
    const name = `${item.namespace}/${backend?.service ?? ''}/${at}`;
    return {
      host: host === '' ? '*' : host,
      path,
      type: pathTypeName(pathType),
      service: backend?.service ?? null,
      port: backend === undefined ? null : at,
      ready: port?.ready ?? null,
      live: port === undefined ? null : liveOf(view.state(), item.cluster, name, port.ready),
    };
  });
  return [
    { title: 'Rules', rows: rules },
    routesSection(view, (route) => item.hosts.includes(route.host) && route.namespace === item.namespace),
    verdictSection(view, item.hosts),
    rejectionSection(item.rejections),
  ];
}

function routesSection(
  view: HubView,
  wanted: (route: { readonly host: string; readonly namespace: string }) => boolean,
): DescribeSection {
  const rows = routeItems(view)
    .filter(wanted)
    .flatMap((route) =>
      route.clusters.map(({ name, ready, live, backend }): Row => {
        const { host, path, path_type } = route;
        return { host, path, type: path_type, cluster: name, ready, live, backend };
      }),
    );
  return { title: 'Contributions', rows };
}

/**
 * What the nodes of each cluster that serves the hosts say of them. Only rejections are reported: a node that
 * has reached a revision and rejected nothing has programmed it.
 */
function verdictSection(view: HubView, hosts: readonly string[]): DescribeSection {
  const { clusters } = view.state();
  const rows: Row[] = [];
  for (const host of hosts) {
    for (const cluster of view.compiled(host)?.recipients ?? []) {
      const state = clusters.get(cluster);
      const rejections = state?.verdicts.get(`host/${host}`)?.rejections ?? [];
      rows.push({
        host,
        cluster,
        nodes: state?.nodes.size ?? 0,
        revision: lowestRevision(state?.nodes.values() ?? []),
        rejected: rejections.length,
      });
    }
  }
  return { title: 'Verdicts', rows };
}

/** What nodes do not take, each in its own words and HAProxy's. */
function rejectionSection(rejections: readonly RejectionItem[]): DescribeSection {
  return { title: 'Rejections', rows: rejections.map((one): Row => ({ ...one })) };
}

function lowestRevision(nodes: Iterable<{ readonly revision: bigint }>): string | null {
  let lowest: bigint | undefined;
  for (const { revision } of nodes) if (lowest === undefined || revision < lowest) lowest = revision;
  return lowest?.toString() ?? null;
}

function clusterDetails(view: HubView, name: string): readonly DescribeSection[] {
  const cluster = view.state().clusters.get(name);
  const nodes = [...(cluster?.nodes.values() ?? [])].map(
    ({ name: node, ready, revision, haproxyVersion, gatewayAddress }): Row => ({
      node,
      ready,
      revision: revision.toString(),
      haproxy: haproxyVersion,
      gateway: gatewayAddress,
    }),
  );
  const out = [...(cluster?.health ?? [])].sort(byParts(([backend]) => backend)).flatMap(([backend, health]) =>
    health.impaired.map(({ node, live, total }): Row => ({
      backend,
      node,
      live,
      total,
      nodes: `${health.impaired.length}/${health.nodes}`,
    })),
  );
  const guards = [...view.state().guards.values()]
    .filter((guard) => guard.cluster === name)
    .map(({ id, message }): Row => ({ guard: id, holds: message }));
  return [
    { title: 'Nodes', rows: nodes },
    { title: 'Guards', rows: guards },
    { title: 'Endpoints out', rows: out },
    rejectionSection(cluster === undefined ? [] : rejectionsOf(cluster, [...cluster.verdicts.keys()].sort())),
  ];
}

/** Fields that the policy gives to routes, and fields where another beat it; the value is the one in force. */
function policyOrigins(view: HubView, policy: PolicyItem): DescribeSection {
  const name = `${policy.kind} ${policy.namespace === null ? '' : `${policy.namespace}/`}${policy.name}`;
  const me = `${name} ${policy.cluster === null ? 'at hub' : `in cluster ${policy.cluster}`}`;
  const isMe = (origin: string) => origin === me || origin === `${me} (overrides)`;
  const rows: Row[] = [];
  for (const route of routeItems(view)) {
    for (const [entry, origins] of view.compiled(route.host)?.origins.get(route.id) ?? []) {
      for (const { field, value, winner, losers } of origins) {
        const wins = isMe(winner);
        if (!wins && !losers.some(isMe)) continue;
        const { host, path } = route;
        rows.push({
          host,
          path,
          entry: entry === '' ? 'all' : entry,
          field,
          value: plain(value),
          result: wins ? 'in force' : `beaten by ${winner}`,
          beats: losers.filter((loser) => !isMe(loser)).join(', '),
        });
      }
    }
  }
  return { title: 'Routes', rows };
}

function concerns(event: EventItem, kind: ItemKind, item: Item): boolean {
  if (kind === 'clusters') return event.cluster === item['name'];
  if (kind === 'hosts' || kind === 'routes') return event.message.includes(String(item['host'] ?? item['name']));
  const kinds: Partial<Record<ItemKind, string>> = { ingresses: 'Ingress', certificates: 'Secret' };
  return (
    event.kind === (kinds[kind] ?? item['kind']) &&
    event.name === item['name'] &&
    event.namespace === (item['namespace'] ?? '') &&
    event.cluster === (item['cluster'] ?? '')
  );
}

function eventRow(event: EventItem, described: ItemKind): Row {
  const { severity, code, reason, field, message, remedy, place } = event;
  const name = event.namespace === '' ? event.name : `${event.namespace}/${event.name}`;
  // What is described need not be named again.
  const object = ['clusters', 'hosts', 'routes'].includes(described) ? { object: `${event.kind} ${name}` } : {};
  return { severity, code, ...object, reason, field, message, remedy, place };
}
