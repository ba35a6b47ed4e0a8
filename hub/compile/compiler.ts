import { isWildcard } from '../../lib/domain/host-name.ts';
import type { Resource } from '../../lib/sync/index.ts';
import type { FleetChange } from '../fleet/change.ts';
import { compileHost } from './compile-host.ts';
import { coverBy } from './host/cover.ts';
import { compilePeers, compileSettings } from './compile-peers.ts';
import { compare } from '../../lib/compare.ts';
import type { ObjectName } from './standing/encode.ts';
import { type StandingChanges, Standings } from './standing/standings.ts';
import type { CompiledHost, HostChange } from './types.ts';

/** What one change of the fleet compiled to. */
export interface CompiledChange {
  readonly revision: bigint;
  /** Hosts computed anew, by name; a body may have come out the same. */
  readonly hosts: ReadonlyMap<string, HostChange>;
  /** Peers whose body differs; undefined for one that left the fleet. */
  readonly peers: ReadonlyMap<string, Resource | undefined>;
  /** Settings of clusters that joined; undefined for one that left. */
  readonly settings: ReadonlyMap<string, Resource | undefined>;
  /** Statuses of members' own objects, and of the HUB's. */
  readonly statuses: StandingChanges;
}

/** Holds what the fleet compiles to and recomputes only what a change touches. */
export class Compiler {
  readonly #hosts = new Map<string, CompiledHost>();
  /** Per wildcard who serves it, where and since when. */
  readonly #reach = new Map<string, string>();
  #peers: ReadonlyMap<string, Resource> = new Map();
  readonly #settings = new Map<string, Resource>();
  readonly #standings = new Standings();

  apply(change: FleetChange): CompiledChange {
    const { state, index, touchedHosts, clustersTouched, revision } = change;
    const hosts = new Map<string, HostChange>();
    const compile = (host: string): CompiledHost | undefined => {
      const previous = this.#hosts.get(host);
      const next = compileHost(state, index, host);
      if (next === undefined) this.#hosts.delete(host);
      else this.#hosts.set(host, next);
      if (previous !== undefined || next !== undefined) hosts.set(host, { previous, next });
      return next;
    };
    for (const host of touchedHosts) {
      const next = compile(host);
      if (!isWildcard(host)) continue;
      // Who serves a wildcard decides where the hosts under it must be kept from it.
      const cover = coverBy(state, index, next);
      const reach = cover === undefined ? '' : [cover.namespace, cover.since, ...cover.entries].join();
      if (reach === (this.#reach.get(host) ?? '')) continue;
      if (reach === '') this.#reach.delete(host);
      else this.#reach.set(host, reach);
      for (const under of index.covered.get(host)?.values() ?? []) if (!touchedHosts.has(under)) compile(under);
    }
    const peers = new Map<string, Resource | undefined>();
    const settings = new Map<string, Resource | undefined>();
    if (clustersTouched) {
      const next = compilePeers(state);
      for (const [cluster, peer] of next)
        if (this.#peers.get(cluster)?.digest !== peer.digest) peers.set(cluster, peer);
      for (const cluster of this.#peers.keys()) if (!next.has(cluster)) peers.set(cluster, undefined);
      this.#peers = next;
      for (const cluster of next.keys()) {
        const own = compileSettings(state, cluster);
        if (this.#settings.get(cluster)?.digest === own.digest) continue;
        this.#settings.set(cluster, own);
        settings.set(cluster, own);
      }
      for (const cluster of this.#settings.keys()) {
        if (next.has(cluster)) continue;
        this.#settings.delete(cluster);
        settings.set(cluster, undefined);
      }
    }
    const statuses = this.#standings.apply(change, hosts, (host) => this.#hosts.get(host));
    return { revision, hosts, peers, settings, statuses };
  }

  get(host: string): CompiledHost | undefined {
    return this.#hosts.get(host);
  }

  /** Of one object of a member, or of a TrafficPolicy at the HUB. */
  status(cluster: string, name: ObjectName): Resource | undefined {
    return this.#standings.get(cluster, name);
  }

  /** Of a member's own objects, in no order. */
  statuses(cluster: string): Iterable<Resource> {
    return this.#standings.of(cluster);
  }

  /** Ascending. */
  hosts(): string[] {
    return [...this.#hosts.keys()].sort(compare);
  }
}
