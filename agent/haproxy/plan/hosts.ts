import { ANY_HOST, isWildcard } from '../../../lib/domain/host-name.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import { SHARE_UNITS } from '../../../lib/split/types.ts';
import type { ResourceKey } from '../../../lib/sync/index.ts';
import type { Host, HostSplit, Route, RouteSplit } from '../../../proto/gen/headgate/v1/configured.ts';
import { clusterTag, hostId, NOTHING } from '../model/names.ts';
import { passedEntries } from '../model/passed-entries.ts';
import { pathEntries } from '../model/path-entries.ts';
import { DEFAULT_SETTINGS } from '../model/profile.ts';
import { hasRegex, type HostEntries, regexEntries } from '../model/regex-entries.ts';
import { routeValue, type SplitTarget } from '../model/route-value.ts';
import type { Backends, Wanted } from './backends/backends.ts';
import type { Certificates } from './certificates.ts';
import type { Draft } from './draft.ts';
import type { Peers } from './peers.ts';
import type { DesiredState } from './state.ts';

interface HostState {
  readonly host: Host;
  readonly maps: HostEntries['maps'];
  /** Those whose keys stand in the maps now. */
  placed: HostEntries['maps'];
}

interface RouteState {
  readonly host: string;
  readonly route: Route;
  /** What its paths have in path.map. */
  value: string;
  /** Keys in sticky.map. */
  sticky: ReadonlyMap<string, string>;
}

type Owner = ResourceKey | undefined;

/** What hosts' entries lead to. */
interface Targets {
  readonly backends: Backends;
  readonly peers: Peers;
  readonly certificates: Certificates;
}

interface HostsOptions {
  /** Own cluster's id. */
  readonly cluster: string;
  readonly tlsPassthrough: boolean;
}

/** Hosts with their routes, and how routes are shared: the entries of maps, and what of backends and peers they name. */
export class Hosts {
  readonly #cluster: string;
  readonly #tlsPassthrough: boolean;
  readonly #state: DesiredState;
  readonly #backends: Backends;
  readonly #peers: Peers;
  readonly #certificates: Certificates;
  readonly #hosts = new Map<string, HostState>();
  readonly #routes = new Map<string, RouteState>();
  readonly #splits = new Map<string, ReadonlyMap<string, RouteSplit>>();
  /** Routes to compute anew, and for whom. */
  #dirty = new Map<string, Owner>();
  /** Hosts whose entries differ from what the maps hold, and for whom. */
  #unplaced = new Map<string, Owner>();

  constructor(state: DesiredState, { backends, peers, certificates }: Targets, options: HostsOptions) {
    this.#state = state;
    this.#backends = backends;
    this.#peers = peers;
    this.#certificates = certificates;
    this.#cluster = options.cluster;
    this.#tlsPassthrough = options.tlsPassthrough;
  }

  /** The host that a route id belongs to now. */
  ownerOf(routeId: string): string | undefined {
    return this.#routes.get(routeId)?.host;
  }

  /** @throws HG1010 or HG5006; nothing has changed then. */
  set(draft: Draft, host: Host, owner: ResourceKey): void {
    const passes = host.routes.some(isPassedThrough);
    if (passes && !this.#tlsPassthrough) {
      throw new HeadgateError(
        'HG1010',
        `${host.name} passes TLS through, which needs an agent with --tls-passthrough`,
        { remedy: 'start the agent with it, or remove passthrough from the policy' },
      );
    }
    this.#backends.reserve(
      draft,
      routesOf(host).flatMap((route) => this.#own(route) ?? []),
      owner,
    );
    const before = this.#hosts.get(host.name);
    const id = hostId(host.name);
    const { key, maps } = passes
      ? passedEntries(id)
      : hasRegex(host.routes)
        ? regexEntries(id, host.routes)
        : plainEntries(id, host);
    this.#hosts.set(host.name, { host, maps, placed: before?.placed ?? new Map() });
    this.#unplaced.set(host.name, owner);
    this.#putHostKey(draft, host.name, key, owner);
    if (!passes) this.#state.put(draft, 'passthrough', host.name, undefined, owner);
    this.#certificates.setOwner(host.name, host.namespace);
    const kept = new Set<string>();
    for (const route of routesOf(host)) {
      kept.add(route.id);
      const { value = '', sticky = new Map<string, string>() } = this.#routes.get(route.id) ?? {};
      this.#routes.set(route.id, { host: host.name, route, value, sticky });
      this.#dirty.set(route.id, owner);
    }
    for (const { id: gone } of before === undefined ? [] : routesOf(before.host)) {
      if (!kept.has(gone)) this.#dropRoute(draft, gone, owner);
    }
  }

  drop(draft: Draft, name: string, owner: ResourceKey): void {
    this.#backends.reserve(draft, [], owner);
    const before = this.#hosts.get(name);
    if (before === undefined) return;
    this.#hosts.delete(name);
    this.#unplaced.delete(name);
    this.#putPaths(draft, before.placed, new Map(), owner);
    this.#putHostKey(draft, name, undefined, owner);
    this.#state.put(draft, 'passthrough', name, undefined, owner);
    this.#certificates.setOwner(name, undefined);
    for (const { id } of routesOf(before.host)) this.#dropRoute(draft, id, owner);
  }

  setSplit(host: string, split: HostSplit | undefined, owner: Owner): void {
    for (const id of this.#splits.get(host)?.keys() ?? []) if (this.#routes.has(id)) this.#dirty.set(id, owner);
    if (split === undefined) {
      this.#splits.delete(host);
      return;
    }
    this.#splits.set(host, new Map(split.routes.map((route) => [route.routeId, route])));
    for (const { routeId } of split.routes) if (this.#routes.has(routeId)) this.#dirty.set(routeId, owner);
  }

  /** Computes anew what was touched. */
  refresh(draft: Draft): void {
    for (const [id, owner] of this.#dirty) this.#route(draft, id, owner);
    this.#dirty = new Map();
    for (const [name, owner] of this.#unplaced) this.#place(draft, name, owner);
    this.#unplaced = new Map();
  }

  /** Drops lingering routes from the gateway map; those that came back meanwhile stay. */
  forget(draft: Draft, routeIds: readonly string[]): void {
    for (const id of routeIds) {
      const state = this.#routes.get(id);
      if (state === undefined || this.#own(state.route) === undefined)
        this.#backends.serve(draft, id, undefined, undefined);
    }
  }

  /** Puts a host's entries into the maps, the values of its routes in them. */
  #place(draft: Draft, name: string, owner: Owner): void {
    const state = this.#hosts.get(name);
    if (state === undefined) return;
    const maps = [...state.maps].map(([map, entries]) => {
      const values = [...entries].map(([key, value]) => [key, this.#routes.get(value)?.value ?? value] as const);
      return [map, new Map(values)] as const;
    });
    this.#putPaths(draft, state.placed, new Map(maps), owner);
    state.placed = state.maps;
  }

  #putPaths(draft: Draft, before: HostEntries['maps'], next: HostEntries['maps'], owner: Owner): void {
    for (const map of new Set([...before.keys(), ...next.keys()])) {
      // What is put last goes first: an entry never stands without those that are more specific.
      const keys = [...(before.get(map)?.keys() ?? [])].reverse();
      this.#state.replace(draft, map, keys, next.get(map) ?? new Map(), owner);
    }
  }

  #putHostKey(draft: Draft, name: string, id: string | undefined, owner: Owner): void {
    // Rules without a host are looked up by their id, which the frontends hold.
    if (name === ANY_HOST) return;
    if (isWildcard(name)) this.#state.put(draft, 'wildcard', name.slice(2), id, owner);
    else this.#state.put(draft, 'host', name, id, owner);
  }

  #dropRoute(draft: Draft, id: string, owner: Owner): void {
    const state = this.#routes.get(id);
    if (state === undefined) return;
    this.#routes.delete(id);
    this.#dirty.delete(id);
    this.#unsplit(draft, id, state, owner);
    this.#backends.hold(draft, id, undefined, owner);
    if (this.#backends.isServed(id)) draft.linger(id);
  }

  #unsplit(draft: Draft, id: string, state: RouteState, owner: Owner): void {
    this.#state.replace(draft, 'sticky', state.sticky.keys(), new Map(), owner);
    state.sticky = new Map();
    this.#peers.mention(draft, id, new Set(), owner);
  }

  /** What a route is served from here, where it is. */
  #own(route: Route): Wanted | undefined {
    const backend = route.contributions.find(({ cluster }) => cluster === this.#cluster)?.backend;
    return backend === undefined ? undefined : { backend, settings: route.backendSettings ?? DEFAULT_SETTINGS };
  }

  #route(draft: Draft, id: string, owner: Owner): void {
    const state = this.#routes.get(id);
    if (state === undefined) return;
    const split = this.#splits.get(state.host)?.get(id);
    const own = this.#own(state.route);
    const ownSlot = this.#backends.hold(draft, id, own, owner);
    if (isPassedThrough(state.route)) {
      // The hop between clusters carries HTTP: what passes through is served from own endpoints, or not at all.
      this.#state.put(draft, 'passthrough', state.host, ownSlot ?? NOTHING, owner);
      this.#backends.serve(draft, id, undefined, owner);
      this.#unsplit(draft, id, state, owner);
      return;
    }

    // Rules without a host never cross, so no gateway may ask for them.
    if (state.host !== ANY_HOST) {
      if (own !== undefined) this.#backends.serve(draft, id, own, owner);
      else if (this.#backends.isServed(id)) draft.linger(id);
    }

    // Until the cluster agent has said how the route is shared: what is served here, and nothing else.
    const shares = split?.shares ?? (own === undefined ? [] : [{ cluster: this.#cluster, share: SHARE_UNITS }]);
    const fallbacks = split?.fallbacks ?? [];
    const sticky = split?.affinity === true ? split.sticky : [];
    const named = new Set([...shares.map(({ cluster }) => cluster), ...fallbacks, ...sticky]);
    named.delete(this.#cluster);
    const peerSlots = this.#peers.mention(draft, id, named, owner);
    const backendOf = (cluster: string): string | undefined =>
      cluster === this.#cluster ? ownSlot : peerSlots.get(cluster);

    const targets = shares.flatMap(({ cluster, share }): SplitTarget[] => {
      const backend = backendOf(cluster);
      return backend === undefined ? [] : [{ backend, share }];
    });
    const rest = fallbacks.flatMap((cluster) => backendOf(cluster) ?? []);
    const value = routeValue(id, targets, rest, split?.affinity === true);
    if (value !== state.value && !this.#unplaced.has(state.host)) this.#unplaced.set(state.host, owner);
    state.value = value;

    const entries = new Map<string, string>();
    for (const cluster of sticky) {
      const backend = backendOf(cluster);
      if (backend !== undefined) entries.set(`${clusterTag(cluster)}.${id}`, backend);
    }
    this.#state.replace(draft, 'sticky', state.sticky.keys(), entries, owner);
    state.sticky = entries;
  }
}

/** Exact hosts are found by their names at once. */
function plainEntries(id: string, { name, routes, defaultRoute }: Host): HostEntries {
  const key = name === ANY_HOST || isWildcard(name) ? id : name;
  return { key: id, maps: new Map([['path', pathEntries(key, routes, defaultRoute?.id)]]) };
}

function isPassedThrough({ backendSettings }: Route): boolean {
  return backendSettings?.passthrough === true;
}

function routesOf(host: Host): readonly Route[] {
  return host.defaultRoute === undefined ? host.routes : [...host.routes, host.defaultRoute];
}
