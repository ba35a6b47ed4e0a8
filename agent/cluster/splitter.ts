import type { Clock } from '../../lib/clock.ts';
import { splitRoute } from '../../lib/split/split.ts';
import type { ClusterCondition, SplitMemory, SplitResult } from '../../lib/split/types.ts';
import { resource, type Resource, type ResourceDelta, type ResourceKey } from '../../lib/sync/index.ts';
import { Host, HostSplit, Peer, type Route } from '../../proto/gen/headgate/v1/configured.ts';
import { Service } from '../../proto/gen/headgate/v1/reported.ts';

/**
 * Decides for all nodes of a cluster how each route's requests are shared, from what the hub sent (hosts,
 * peers), what the own source sees now (ready endpoints) and what the own probes say. It works on without
 * the hub. Changes are collected; `flush` recomputes only the hosts they touch.
 */
export class Splitter {
  readonly #self: string;
  readonly #clock: Clock;
  readonly #hosts = new Map<string, Host>();
  readonly #peers = new Map<string, Peer>();
  readonly #services = new Map<string, Service>();
  readonly #unreachable = new Set<string>();
  /** Clusters whose gateway said, while the hub was away, that a route has no live server: by route id. */
  readonly #silentRoutes = new Map<string, Set<string>>();
  readonly #memory = new Map<string, SplitMemory>();
  /** Hosts that a cluster contributes to or is weighted in. */
  readonly #hostsByCluster = new Map<string, Set<string>>();
  /** Hosts that route to an own Service, by `<namespace>/<name>`. */
  readonly #hostsByService = new Map<string, Set<string>>();
  readonly #recheckAt = new Map<string, number>();
  readonly #dirty = new Set<string>();

  constructor(self: string, clock: Clock) {
    this.#self = self;
    this.#clock = clock;
  }

  /** Takes `host` and `peer` resources; others are ignored. */
  configured(delta: ResourceDelta): void {
    for (const { type, name, body } of delta.upserts) {
      if (type === 'host') this.#setHost(name, Host.decode(body));
      if (type === 'peer') this.#setPeer(name, Peer.decode(body));
    }
    for (const { type, name } of delta.removals) {
      if (type === 'host') this.#setHost(name, undefined);
      if (type === 'peer') this.#setPeer(name, undefined);
    }
  }

  /** Takes the own `service` resources as the source reports them; others are ignored. */
  reported(delta: ResourceDelta): void {
    for (const { type, name, body } of delta.upserts) {
      if (type === 'service') this.#setService(name, Service.decode(body));
    }
    for (const { type, name } of delta.removals) {
      if (type === 'service') this.#setService(name, undefined);
    }
  }

  setReachable(cluster: string, reachable: boolean): void {
    if (reachable === !this.#unreachable.has(cluster)) return;
    if (reachable) this.#unreachable.delete(cluster);
    else this.#unreachable.add(cluster);
    this.#touch(this.#hostsByCluster.get(cluster));
  }

  /** What a peer's gateway says of one route while the hub is lost; ready counts are then old. */
  setRouteLive(cluster: string, host: string, routeId: string, live: boolean): void {
    const silent = this.#silentRoutes.get(routeId);
    if (live === (silent?.has(cluster) !== true)) return;
    if (live) silent?.delete(cluster);
    else if (silent === undefined) this.#silentRoutes.set(routeId, new Set([cluster]));
    else silent.add(cluster);
    this.#dirty.add(host);
  }

  /** The hub is back: its ready counts are the truth again. */
  forgetRouteProbes(): void {
    if (this.#silentRoutes.size === 0) return;
    this.#silentRoutes.clear();
    this.#touch(this.#hosts.keys());
  }

  /** Routes that `cluster` contributes to, as (host, route id). */
  *routesOf(cluster: string): Iterable<{ readonly host: string; readonly routeId: string }> {
    for (const host of this.#hostsByCluster.get(cluster) ?? []) {
      for (const route of this.#hosts.get(host)?.routes ?? []) {
        if (route.contributions.some((one) => one.cluster === cluster)) yield { host, routeId: route.id };
      }
    }
  }

  /** Whether the hub's configuration routes to an own Service. @param service `<namespace>/<name>` */
  routesService(service: string): boolean {
    return (this.#hostsByService.get(service)?.size ?? 0) > 0;
  }

  /** Whether this cluster contributes to a host. */
  servesHost(host: string): boolean {
    return this.#hostsByCluster.get(this.#self)?.has(host) === true;
  }

  /** Other clusters that have a gateway. */
  peers(): readonly Peer[] {
    return [...this.#peers.values()].filter((peer) => peer.cluster !== this.#self && peer.addresses.length > 0);
  }

  /** Milliseconds until time alone may change a split; `undefined` when it does not. */
  dueIn(): number | undefined {
    let due: number | undefined;
    for (const at of this.#recheckAt.values()) due = Math.min(due ?? at, at);
    return due === undefined ? undefined : Math.max(0, due - this.#clock.now());
  }

  /** Recomputes what was touched or has come due; returns the `split` resources that may have changed. */
  flush(): ResourceDelta {
    const now = this.#clock.now();
    for (const [host, at] of this.#recheckAt) if (at <= now) this.#dirty.add(host);
    const upserts: Resource[] = [];
    const removals: ResourceKey[] = [];
    const clusters = this.#conditions();
    for (const name of this.#dirty) {
      const host = this.#hosts.get(name);
      this.#recheckAt.delete(name);
      if (host === undefined) removals.push({ type: 'split', name });
      else upserts.push(this.#splitHost(host, clusters, now));
    }
    this.#dirty.clear();
    return { upserts, removals };
  }

  #splitHost(host: Host, clusters: ReadonlyMap<string, ClusterCondition>, now: number): Resource {
    const body = HostSplit.encode({
      host: host.name,
      routes: routesOf(host).map((route) => {
        const result = splitRoute({
          self: this.#self,
          ready: this.#ready(route),
          traffic: route.traffic,
          clusters,
          now,
          memory: this.#memory.get(route.id),
        });
        this.#memory.set(route.id, result.memory);
        if (result.recheckAt !== undefined) {
          this.#recheckAt.set(host.name, Math.min(result.recheckAt, this.#recheckAt.get(host.name) ?? Infinity));
        }
        return routeSplit(route, result);
      }),
    }).finish();
    return resource('split', host.name, body);
  }

  #ready(route: Route): Map<string, number> {
    const silent = this.#silentRoutes.get(route.id);
    return new Map(
      route.contributions.map(({ cluster, backend, ready }) => {
        if (cluster === this.#self) return [cluster, this.#ownReady(backend)];
        return [cluster, silent?.has(cluster) === true ? 0 : ready];
      }),
    );
  }

  /** @param backend `<namespace>/<service>/<port>` */
  #ownReady(backend: string): number {
    const slash = backend.lastIndexOf('/');
    const port = backend.slice(slash + 1);
    const ports = this.#services.get(backend.slice(0, slash))?.ports ?? [];
    return ports.find(({ name, number }) => port === name || port === String(number))?.ready ?? 0;
  }

  #conditions(): Map<string, ClusterCondition> {
    return new Map(
      [...this.#peers.values()].map(({ cluster, cordoned, staleMs, addresses }) => {
        const self = cluster === this.#self;
        const reachable = self || (addresses.length > 0 && !this.#unreachable.has(cluster));
        return [cluster, { cordoned, staleMs: self ? 0 : Number(staleMs), reachable }];
      }),
    );
  }

  #setHost(name: string, next: Host | undefined): void {
    const previous = this.#hosts.get(name);
    if (previous !== undefined) this.#index(previous, drop);
    if (next === undefined) this.#hosts.delete(name);
    else {
      this.#hosts.set(name, next);
      this.#index(next, add);
    }
    const kept = new Set(next === undefined ? [] : routesOf(next).map(({ id }) => id));
    for (const { id } of previous === undefined ? [] : routesOf(previous)) {
      if (kept.has(id)) continue;
      this.#memory.delete(id);
      this.#silentRoutes.delete(id);
    }
    this.#dirty.add(name);
  }

  #index(host: Host, change: (index: Map<string, Set<string>>, key: string, host: string) => void): void {
    for (const { contributions, traffic } of routesOf(host)) {
      for (const { cluster, backend } of contributions) {
        change(this.#hostsByCluster, cluster, host.name);
        if (cluster === this.#self) {
          change(this.#hostsByService, backend.slice(0, backend.lastIndexOf('/')), host.name);
        }
      }
      for (const { clusters } of traffic?.tiers ?? []) {
        for (const { cluster } of clusters) change(this.#hostsByCluster, cluster, host.name);
      }
    }
  }

  #setPeer(cluster: string, next: Peer | undefined): void {
    if (next === undefined) this.#peers.delete(cluster);
    else this.#peers.set(cluster, next);
    this.#touch(this.#hostsByCluster.get(cluster));
  }

  #setService(name: string, next: Service | undefined): void {
    if (next === undefined) this.#services.delete(name);
    else this.#services.set(name, next);
    this.#touch(this.#hostsByService.get(name));
  }

  #touch(hosts: Iterable<string> | undefined): void {
    for (const host of hosts ?? []) this.#dirty.add(host);
  }
}

function routeSplit(route: Route, result: SplitResult): HostSplit['routes'][number] {
  return {
    routeId: route.id,
    shares: result.shares,
    fallbacks: result.fallbacks,
    affinity: route.traffic?.affinity !== undefined,
    sticky: route.traffic?.affinity === undefined ? [] : result.sticky,
    tier: result.tier,
    reasons: result.reasons,
  };
}

/** Every route of a host, the default one included. */
function routesOf({ routes, defaultRoute }: Host): readonly Route[] {
  return defaultRoute === undefined ? routes : [...routes, defaultRoute];
}

function add(index: Map<string, Set<string>>, key: string, host: string): void {
  const hosts = index.get(key);
  if (hosts === undefined) index.set(key, new Set([host]));
  else hosts.add(host);
}

function drop(index: Map<string, Set<string>>, key: string, host: string): void {
  const hosts = index.get(key);
  hosts?.delete(host);
  if (hosts?.size === 0) index.delete(key);
}
