import { authorityFile, mapNames, peerSlotName, slotName, type MapName } from '../model/names.ts';
import { MapTable } from '../model/map-table.ts';
import type { CertificateEntry, Desired, Link, PeerSlot, Server, Slot } from '../model/desired.ts';
import { DEFAULT_SETTINGS, keepsAll, type Profile } from '../model/profile.ts';
import type { BackendSettings } from '../../../proto/gen/headgate/v1/configured.ts';
import type { Op } from '../model/change.ts';
import type { ResourceKey } from '../../../lib/sync/index.ts';
import type { Draft } from './draft.ts';

type Owner = ResourceKey | undefined;

/** Desired with the operations that change it; each notes in the draft what it really changed. */
export class DesiredState implements Desired {
  readonly maps: Record<MapName, MapTable> = Object.fromEntries(
    mapNames.map((name) => [name, new MapTable()]),
  ) as Record<MapName, MapTable>;
  readonly slots: Slot[] = [];
  readonly peers: PeerSlot[] = [];
  readonly certificates = new Map<string, CertificateEntry>();
  defaultCertificate: string | undefined;
  readonly authorities = new Map<string, string>();
  /** Slots with servers that are verified by a CA → its file. */
  readonly #verifiedBy = new Map<number, string>();

  /** @returns its number. */
  addSlot(profile: Profile): number {
    const place = this.slots.length;
    const name = slotName(place);
    this.slots.push({ name, profile, backend: undefined, settings: DEFAULT_SETTINGS, servers: new Map() });
    return place;
  }

  /** Makes a spare one of another profile. */
  reprofile(place: number, profile: Profile): void {
    this.slots[place] = { ...at(this.slots, place), profile };
  }

  addPeerSlots(count: number): void {
    for (let i = 0; i < count; i++) {
      const name = peerSlotName(this.peers.length);
      this.peers.push({ name, cluster: undefined, serverName: undefined, servers: new Map() });
    }
  }

  /** An undefined value deletes. */
  put(draft: Draft, map: MapName, key: string, value: string | undefined, owner: Owner): void {
    if (value === undefined) {
      if (this.maps[map].delete(key)) draft.add({ kind: 'map-delete', map, key }, owner);
      return;
    }
    const before = this.maps[map].set(key, value);
    if (before !== value) draft.add({ kind: 'map-set', map, key, value, isNew: before === undefined }, owner);
  }

  /** Makes a map hold `next` where it held `before`. */
  replace(draft: Draft, map: MapName, before: Iterable<string>, next: ReadonlyMap<string, string>, owner: Owner): void {
    for (const [key, value] of next) this.put(draft, map, key, value, owner);
    for (const key of before) if (!next.has(key)) this.put(draft, map, key, undefined, owner);
  }

  assignSlot(draft: Draft, place: number, backend: string, settings: BackendSettings, owner: Owner): void {
    const slot = at(this.slots, place);
    this.slots[place] = { ...slot, backend, settings };
    draft.add({ kind: 'assigned', backend: slot.name, owner: backend }, owner);
    const { responseMs = 0n, tunnelMs = 0n } = slot.profile.timed ? (settings.timeouts ?? {}) : {};
    if (responseMs > 0n) this.put(draft, 'response', slot.name, String(responseMs), owner);
    if (tunnelMs > 0n) this.put(draft, 'tunnel', slot.name, String(tunnelMs), owner);
    if (keepsAll(settings)) this.put(draft, 'kept', slot.name, '1', owner);
    if (slot.profile.queued) this.put(draft, 'queue', slot.name, String(settings.limits?.queue ?? 0), owner);
  }

  freeSlot(draft: Draft, place: number, backend: string, owner: Owner): void {
    this.setSlotServers(draft, place, new Map(), owner);
    const slot = at(this.slots, place);
    this.slots[place] = { ...slot, backend: undefined, settings: DEFAULT_SETTINGS };
    for (const map of ['response', 'tunnel', 'queue', 'kept'] as const)
      this.put(draft, map, slot.name, undefined, owner);
    draft.add({ kind: 'freed', backend: slot.name, owner: backend }, owner);
  }

  setSlotServers(draft: Draft, place: number, servers: ReadonlyMap<string, Server>, owner: Owner): void {
    const slot = at(this.slots, place);
    const link: Link = { kind: 'endpoint', settings: slot.settings };
    this.#verify(draft, place, servers.size > 0 ? (slot.settings.tls?.ca ?? '') : '', owner);
    for (const op of serverOps(slot.name, slot.servers, servers, link)) draft.add(op, owner);
    this.slots[place] = { ...slot, servers };
  }

  /** Holds a CA while any server is verified by it: HAProxy loads no other from its files. */
  #verify(draft: Draft, place: number, pem: string, owner: Owner): void {
    const before = this.#verifiedBy.get(place);
    const next = pem === '' ? undefined : authorityFile(pem);
    if (before === next) return;
    if (next === undefined) this.#verifiedBy.delete(place);
    else {
      this.#verifiedBy.set(place, next);
      if (!this.authorities.has(next)) draft.add({ kind: 'authority-add', file: next, pem }, owner);
      this.authorities.set(next, pem);
    }
    if (before === undefined || [...this.#verifiedBy.values()].includes(before)) return;
    this.authorities.delete(before);
    draft.add({ kind: 'authority-remove', file: before }, owner);
  }

  assignPeer(draft: Draft, place: number, cluster: string, owner: Owner): void {
    const slot = at(this.peers, place);
    this.peers[place] = { ...slot, cluster };
    draft.add({ kind: 'assigned', backend: slot.name, owner: cluster }, owner);
  }

  freePeer(draft: Draft, place: number, cluster: string, owner: Owner): void {
    this.setPeerServers(draft, place, undefined, new Map(), owner);
    const slot = at(this.peers, place);
    this.peers[place] = { ...slot, cluster: undefined };
    draft.add({ kind: 'freed', backend: slot.name, owner: cluster }, owner);
  }

  setPeerServers(
    draft: Draft,
    place: number,
    serverName: string | undefined,
    servers: ReadonlyMap<string, Server>,
    owner: Owner,
  ): void {
    const slot = at(this.peers, place);
    const link: Link = { kind: 'gateway', serverName: serverName ?? '' };
    for (const op of serverOps(slot.name, slot.servers, servers, link)) draft.add(op, owner);
    this.peers[place] = { ...slot, serverName, servers };
  }
}

function at<T>(list: readonly T[], place: number): T {
  const found = list[place];
  if (found === undefined) throw new RangeError(`no slot ${place}`);
  return found;
}

function* serverOps(
  backend: string,
  before: ReadonlyMap<string, Server>,
  after: ReadonlyMap<string, Server>,
  link: Link,
): Generator<Op> {
  for (const [name, server] of after) {
    const held = before.get(name);
    if (held === undefined) yield { kind: 'server-add', backend, server, link };
    else if (held.state !== server.state) yield { kind: 'server-state', backend, server };
  }
  for (const [name, server] of before) if (!after.has(name)) yield { kind: 'server-remove', backend, server };
}
