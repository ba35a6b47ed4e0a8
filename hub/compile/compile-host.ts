import { ANY_HOST, wildcardOf } from '../../lib/domain/host-name.ts';
import { routeId } from '../../lib/domain/route-id.ts';
import { type Resource, resource } from '../../lib/sync/index.ts';
import { Host, type Route } from '../../proto/gen/headgate/v1/configured.ts';
import type { FleetIndex } from '../fleet/fleet-index.ts';
import type { FleetState } from '../fleet/state.ts';
import { type AdmittedRoute, admitOwned } from './host/admit.ts';
import { compileAnyHost } from './compile-any-host.ts';
import { type Contributed, contribute, sortBackends } from './host/contribution.ts';
import { type Cover, coverBy, rivalEntries } from './host/cover.ts';
import { offersFor } from './host/offers.ts';
import { compare } from '../../lib/compare.ts';
import { hostOwner } from './host/ownership.ts';
import { attachment, isGranted, policiesFor, type TrafficPolicy } from './policy/attachment.ts';
import { encodeBackendSettings } from './policy/backend-settings.ts';
import { type BareRoute, settlePassthrough } from './policy/passthrough.ts';
import { reachOf, type SettledRoutes } from './policy/reach.ts';
import { encodeTraffic } from './policy/values.ts';
import { settle } from './policy/settle.ts';
import { sortStatuses } from './status.ts';
import type { CompiledHost, FieldOrigin, ObjectStatus } from './types.ts';

/** The entry of the body that every recipient without a variant gets. */
const COMMON = '';

/**
 * Everything that a host compiles to; undefined where no member's Ingress names it. Pure: the same state gives
 * the same bytes, whatever order it was built in.
 */
export function compileHost(state: FleetState, index: FleetIndex, host: string): CompiledHost | undefined {
  const offers = offersFor(state, index, host);
  if (offers.length === 0) return undefined;
  if (host === ANY_HOST) return compileAnyHost(state, offers);

  const owner = hostOwner(state, index, host, offers);
  const admission = admitOwned(host, offers, owner);
  const statuses: ObjectStatus[] = [...admission.statuses];
  const contributed = [...admission.routes.values()].map((admitted) => ({
    admitted,
    parts: contributions(state, admitted),
  }));
  for (const { parts } of contributed) for (const { status } of parts) if (status !== undefined) statuses.push(status);
  const namespace = owner.namespace ?? '';
  const routes = contributed
    .map(({ admitted, parts }) => bareRoute(host, namespace, admitted, parts))
    .sort((a, b) => compare(a.route.path, b.route.path) || a.route.pathType - b.route.pathType);

  const declaring = new Set(routes.flatMap(({ route }) => route.contributions.map(({ cluster }) => cluster)));
  // Those of other routes must not tell: a change of one compiles the hosts of its targets only.
  const policies = policiesFor(state, index, namespace).filter((policy) =>
    routes.some(({ identity }) => attachment(policy, identity) !== undefined),
  );
  const bodies = new Bodies(state, host, namespace, routes, declaring, policies);
  const recipients: string[] = [];
  const variants = new Map<string, Resource>();
  const common = bodies.forEntry(COMMON);
  for (const entry of routes.length === 0 ? [] : bodies.candidates()) {
    const body = bodies.forEntry(entry);
    if (body === undefined) continue;
    recipients.push(entry);
    if (body.digest !== common?.digest) variants.set(entry, body);
  }
  for (const entry of rivalEntries(owner, offers, coverOf(state, index, host)))
    if (!recipients.includes(entry)) variants.set(entry, bodies.closed());
  return {
    name: host,
    body: recipients.length === 0 ? undefined : common,
    variants,
    recipients,
    backends: backendsByCluster(contributed.flatMap(({ parts }) => parts)),
    statuses: sortStatuses([...statuses, ...bodies.statuses]),
    reach: bodies.reach(recipients),
    origins: bodies.origins,
  };
}

function coverOf(state: FleetState, index: FleetIndex, host: string): Cover | undefined {
  const wildcard = wildcardOf(host);
  return wildcard === undefined ? undefined : coverBy(state, index, compileHost(state, index, wildcard));
}

function contributions(state: FleetState, { offers }: AdmittedRoute): Contributed[] {
  return offers
    .map((offer) => contribute(state, offer))
    .sort((a, b) => compare(a.contribution.cluster, b.contribution.cluster));
}

function bareRoute(
  host: string,
  namespace: string,
  { offers }: AdmittedRoute,
  parts: readonly Contributed[],
): BareRoute {
  const [first] = offers;
  const { pathType, path } = first ?? { pathType: 0, path: '/' };
  return {
    route: { id: routeId(host, pathType, path), pathType, path, contributions: parts.map((part) => part.contribution) },
    identity: { host, path, namespace, ingresses: new Set(offers.map(({ ingress }) => ingress)) },
    offers,
  };
}

function backendsByCluster(parts: readonly Contributed[]): Map<string, readonly Resource[]> {
  const byCluster = Map.groupBy(
    parts.filter(({ backend }) => backend !== undefined),
    ({ contribution }) => contribution.cluster,
  );
  return new Map(
    [...byCluster]
      .sort(([a], [b]) => compare(a, b))
      .map(([cluster, own]) => [cluster, sortBackends(own.flatMap(({ backend }) => backend ?? []))]),
  );
}

/** The host's body as each entry gets it. Entries that no policy of their own governs share one. */
class Bodies {
  readonly origins = new Map<string, Map<string, readonly FieldOrigin[]>>();
  readonly statuses: ObjectStatus[] = [];
  readonly #state: FleetState;
  readonly #host: string;
  readonly #namespace: string;
  readonly #routes: readonly BareRoute[];
  readonly #declaring: ReadonlySet<string>;
  readonly #fleetWide: readonly TrafficPolicy[];
  readonly #byMember: ReadonlyMap<string, readonly TrafficPolicy[]>;
  readonly #settled = new Map<string, SettledRoutes>();
  readonly #encoded = new Map<string, Resource>();

  constructor(
    state: FleetState,
    host: string,
    namespace: string,
    routes: readonly BareRoute[],
    declaring: ReadonlySet<string>,
    policies: readonly TrafficPolicy[],
  ) {
    this.#state = state;
    this.#host = host;
    this.#namespace = namespace;
    this.#routes = routes;
    this.#declaring = declaring;
    const [granted, own] = [policies.filter((p) => isGranted(state, p)), policies.filter((p) => !isGranted(state, p))];
    this.#fleetWide = granted;
    this.#byMember = Map.groupBy(own, ({ clusterScope }) => clusterScope ?? COMMON);
  }

  /** Clusters that may serve the host, ascending. */
  candidates(): string[] {
    const anywhere = this.#settle(COMMON).some((one) => one?.values.exposure === 'Everywhere');
    const clusters = anywhere ? this.#state.members.keys() : new Set([...this.#declaring, ...this.#byMember.keys()]);
    return [...clusters].sort(compare);
  }

  /**
   * undefined where the entry does not serve the host. A cluster that declares the host serves all its routes;
   * another only those whose exposure there is Everywhere.
   */
  forEntry(entry: string): Resource | undefined {
    const governed = this.#governed(entry);
    const settled = this.#settle(governed);
    const declares = entry === COMMON || this.#declaring.has(entry);
    const exposed = settled.map((one) => one !== undefined && (declares || one.values.exposure === 'Everywhere'));
    if (!exposed.includes(true)) return undefined;
    const key = `${governed}\0${exposed.join()}`;
    const known = this.#encoded.get(key);
    if (known !== undefined) return known;
    const routes = this.#routes.flatMap(({ route }, at): Route[] => {
      if (exposed[at] !== true) return [];
      const values = settled[at]?.values ?? {};
      return [{ ...route, traffic: encodeTraffic(values), backendSettings: encodeBackendSettings(values) }];
    });
    const body = this.#encode(routes);
    this.#encoded.set(key, body);
    return body;
  }

  /** @param entries that serve the host. */
  reach(entries: readonly string[]): CompiledHost['reach'] {
    return reachOf(Map.groupBy(entries, (entry) => this.#settle(this.#governed(entry))));
  }

  /** For an entry that must answer 404. */
  closed(): Resource {
    return this.#encode([]);
  }

  #encode(routes: readonly Route[]): Resource {
    const message: Host = { name: this.#host, namespace: this.#namespace, routes, defaultRoute: undefined };
    return resource('host', this.#host, Host.encode(message).finish());
  }

  #governed(entry: string): string {
    return this.#byMember.has(entry) ? entry : COMMON;
  }

  #settle(entry: string): SettledRoutes {
    const known = this.#settled.get(entry);
    if (known !== undefined) return known;
    const policies = [...this.#fleetWide, ...(entry === COMMON ? [] : (this.#byMember.get(entry) ?? []))];
    const apart = this.#routes.map(({ route, identity }) => {
      const result = settle(this.#state, identity, policies);
      const origins = this.origins.get(route.id) ?? new Map<string, readonly FieldOrigin[]>();
      this.origins.set(route.id, origins.set(entry, result.origins));
      this.statuses.push(...result.statuses);
      return result;
    });
    const { settled, statuses } = settlePassthrough(this.#routes, apart, entry === COMMON ? undefined : entry);
    this.statuses.push(...statuses);
    this.#settled.set(entry, settled);
    return settled;
  }
}
