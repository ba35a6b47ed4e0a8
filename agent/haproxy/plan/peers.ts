import type { ResourceKey } from '../../../lib/sync/index.ts';
import type { Assignments, Server } from '../model/desired.ts';
import { clusterTag, files, peerSlotName, serverName } from '../model/names.ts';
import type { PeerTarget } from './decode.ts';
import type { Draft } from './draft.ts';
import { Pool } from './pool.ts';
import type { DesiredState } from './state.ts';

type Owner = ResourceKey | undefined;

const REFILL = 16;

interface PeerState {
  target: PeerTarget | undefined;
  /** Routes whose splits name the cluster. */
  readonly routes: Set<string>;
}

/** Other clusters: which peer slot each has. A cluster keeps its slot while it is known or any split names it. */
export class Peers {
  readonly pool: Pool;
  readonly #state: DesiredState;
  readonly #peers = new Map<string, PeerState>();
  readonly #mentions = new Map<string, ReadonlySet<string>>();
  /** Names in peer.map, by cluster. */
  readonly #names = new Map<string, string>();
  #dirty = new Map<string, Owner>();

  constructor(state: DesiredState, { peerSlots, peers }: Assignments) {
    this.#state = state;
    this.pool = new Pool(numbers(0, peerSlots), peers);
    state.addPeerSlots(peerSlots);
  }

  /** @param own the peer is this cluster: it may call, but is never called. */
  set(draft: Draft, target: PeerTarget, own: boolean, owner: Owner): void {
    const name = this.#names.get(target.cluster);
    if (name !== undefined && name !== target.serverName) this.#state.put(draft, 'peer', name, undefined, owner);
    this.#names.set(target.cluster, target.serverName);
    this.#state.put(draft, 'peer', target.serverName, target.cluster, owner);
    if (own) return;
    this.#take(draft, target.cluster, owner).target = target;
    this.#dirty.set(target.cluster, owner);
  }

  drop(draft: Draft, cluster: string, owner: Owner): void {
    const name = this.#names.get(cluster);
    if (name !== undefined) this.#state.put(draft, 'peer', name, undefined, owner);
    this.#names.delete(cluster);
    const peer = this.#peers.get(cluster);
    if (peer === undefined) return;
    peer.target = undefined;
    this.#dirty.set(cluster, owner);
  }

  /** Notes the clusters that a route names. @returns the peer slot of each. */
  mention(draft: Draft, routeId: string, clusters: ReadonlySet<string>, owner: Owner): ReadonlyMap<string, string> {
    for (const cluster of this.#mentions.get(routeId) ?? []) {
      if (clusters.has(cluster)) continue;
      this.#peers.get(cluster)?.routes.delete(routeId);
      this.#dirty.set(cluster, owner);
    }
    const slots = new Map<string, string>();
    for (const cluster of clusters) {
      this.#take(draft, cluster, owner).routes.add(routeId);
      slots.set(cluster, peerSlotName(this.pool.placeOf(cluster) ?? 0));
    }
    if (clusters.size === 0) this.#mentions.delete(routeId);
    else this.#mentions.set(routeId, clusters);
    return slots;
  }

  refresh(draft: Draft): void {
    for (const [cluster, owner] of this.#dirty) {
      const peer = this.#peers.get(cluster);
      const place = this.pool.placeOf(cluster);
      if (peer === undefined || place === undefined) continue;
      if (peer.target === undefined && peer.routes.size === 0) {
        this.#state.put(draft, 'tag', peerSlotName(place), undefined, owner);
        this.#state.freePeer(draft, place, cluster, owner);
        this.pool.release(cluster);
        this.#peers.delete(cluster);
        continue;
      }
      this.#state.setPeerServers(draft, place, peer.target?.serverName, gateways(peer.target), owner);
    }
    this.#dirty = new Map();
  }

  #take(draft: Draft, cluster: string, owner: Owner): PeerState {
    const held = this.#peers.get(cluster);
    if (held !== undefined) return held;
    let place = this.pool.take(cluster);
    if (place === undefined) {
      this.pool.add(numbers(this.pool.size, REFILL));
      this.#state.addPeerSlots(REFILL);
      draft.touch(files.peers);
      draft.needReload('pool-refill');
      place = this.pool.take(cluster) ?? 0;
    }
    const peer: PeerState = { target: undefined, routes: new Set() };
    this.#peers.set(cluster, peer);
    this.#state.assignPeer(draft, place, cluster, owner);
    this.#state.put(draft, 'tag', peerSlotName(place), clusterTag(cluster), owner);
    return peer;
  }
}

function gateways(target: PeerTarget | undefined): Map<string, Server> {
  const servers = (target?.addresses ?? []).map(({ address, port }): Server => {
    // The name to verify is part of a server's identity: another one means another server.
    const name = serverName(`${address} ${target?.serverName ?? ''}`, port);
    return { name, address, port, state: 'ready' };
  });
  return new Map(servers.map((server) => [server.name, server]));
}

function numbers(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}
