import { HeadgateError } from '../../../../lib/errors.ts';
import type { ResourceKey } from '../../../../lib/sync/index.ts';
import type { Backend, BackendSettings, Endpoints } from '../../../../proto/gen/headgate/v1/configured.ts';
import type { Assignments } from '../../model/desired.ts';
import { slotName } from '../../model/names.ts';
import {
  backendOfKey,
  DEFAULT_PROFILE_ID,
  DEFAULT_SETTINGS,
  type Profile,
  profileId,
  profileOf,
  slotKey,
  treatmentOfKey,
} from '../../model/profile.ts';
import type { Draft } from '../draft.ts';
import { Pools } from './pools.ts';
import { serversOf } from './servers.ts';
import type { DesiredState } from '../state.ts';

type Owner = ResourceKey | undefined;

/** Of one service. HAProxy checks each of them, and a change to one costs as much as there are. */
const MAX_ENDPOINTS = 10_000;

/** A backend resource and how its endpoints are treated. */
export interface Wanted {
  readonly backend: string;
  readonly settings: BackendSettings;
}

interface BackendState {
  /** Kept after the resource is gone, for the routes that linger. */
  spec: Backend | undefined;
  present: boolean;
  /** Keys of its slots. */
  readonly slots: Set<string>;
}

/** A backend resource with one set of settings. */
interface SlotState {
  readonly backend: string;
  readonly settings: BackendSettings;
  readonly profile: string;
  readonly place: number;
  /** Routes, by id, that name it now. */
  readonly routes: Set<string>;
  /** Route ids that gateways may ask of it. */
  readonly served: Set<string>;
}

/**
 * Own backends: which slots each has, and their servers. A slot is kept while any route names it. Other settings are
 * another slot: the new one stands before routes turn to it, and the old one is let go after them.
 */
export class Backends {
  readonly pools: Pools;
  readonly #state: DesiredState;
  readonly #backends = new Map<string, BackendState>();
  readonly #slots = new Map<string, SlotState>();
  readonly #slices = new Map<string, Endpoints>();
  /** Per service: the names of its slices and of its backends. */
  readonly #services = new Map<string, { readonly slices: Set<string>; readonly backends: Set<string> }>();
  /** Route id → slot key. */
  readonly #routes = new Map<string, string>();
  readonly #served = new Map<string, string>();
  /** Backends to look at anew, and for whom. */
  #dirty = new Map<string, Owner>();

  constructor(state: DesiredState, assignments: Assignments) {
    this.#state = state;
    this.pools = new Pools(state, assignments);
  }

  set(name: string, spec: Backend, owner: Owner): void {
    const backend = this.#backend(name);
    backend.spec = spec;
    backend.present = true;
    this.#service(spec).backends.add(name);
    this.#dirty.set(name, owner);
  }

  drop(name: string, owner: Owner): void {
    const backend = this.#backends.get(name);
    if (backend === undefined) return;
    backend.present = false;
    this.#dirty.set(name, owner);
  }

  /** @throws HG5005 where the service would have too many endpoints; nothing has changed then. */
  setSlice(name: string, next: Endpoints | undefined, owner: Owner): void {
    if (next !== undefined) this.#checkSize(name, next);
    const before = this.#slices.get(name);
    if (before !== undefined) {
      this.#slices.delete(name);
      const service = this.#service(before);
      service.slices.delete(name);
      for (const backend of service.backends) this.#dirty.set(backend, owner);
      this.#tidy(before);
    }
    if (next !== undefined) {
      this.#slices.set(name, next);
      const service = this.#service(next);
      service.slices.add(name);
      for (const backend of service.backends) this.#dirty.set(backend, owner);
    }
  }

  /**
   * Takes the slots that a resource is about to name.
   * @throws HG5006 where they need a reload that cannot be had yet; nothing has changed then.
   */
  reserve(draft: Draft, wanted: readonly Wanted[], owner: ResourceKey): void {
    const missing = new Map<string, { readonly profile: Profile; readonly keys: Set<string> }>();
    for (const { backend, settings } of wanted) {
      const key = slotKey(backend, settings);
      if (this.#slots.has(key)) continue;
      const profile = profileOf(settings);
      const id = profileId(profile);
      const known = missing.get(id) ?? { profile, keys: new Set() };
      missing.set(id, known);
      known.keys.add(key);
    }
    const wishes = new Map(
      [...missing]
        .map(([id, { profile, keys }]) => [id, { profile, count: keys.size }] as const)
        .filter(([id, { count }]) => id !== DEFAULT_PROFILE_ID && this.pools.freeOf(id) < count),
    );
    if (wishes.size > 0 && !draft.mayReload) {
      this.pools.wish(owner, wishes);
      throw new HeadgateError('HG5006', 'its settings wait for a reload of HAProxy, which comes in a few seconds');
    }
    this.pools.wish(owner, new Map());
    for (const { backend, settings } of wanted) this.#take(draft, backend, settings, owner);
  }

  /** Notes the backend that a route names; undefined: none. @returns its slot. */
  hold(draft: Draft, routeId: string, wanted: Wanted | undefined, owner: Owner): string | undefined {
    const key = wanted === undefined ? undefined : slotKey(wanted.backend, wanted.settings);
    const before = this.#routes.get(routeId);
    if (before !== undefined && before !== key) {
      this.#slots.get(before)?.routes.delete(routeId);
      this.#routes.delete(routeId);
      this.#dirty.set(backendOfKey(before), owner);
    }
    if (wanted === undefined || key === undefined) return undefined;
    const slot = this.#take(draft, wanted.backend, wanted.settings, owner);
    slot.routes.add(routeId);
    this.#routes.set(routeId, key);
    return slotName(slot.place);
  }

  /** Ids of the routes that slots of a profile serve. */
  routesOf(profile: string): readonly string[] {
    const slots = [...this.#slots.values()].filter((slot) => slot.profile === profile);
    return slots.flatMap(({ routes, served }) => [...routes, ...served]);
  }

  /** Whether gateways get a backend for a route id. */
  isServed(routeId: string): boolean {
    return this.#served.has(routeId);
  }

  serve(draft: Draft, routeId: string, wanted: Wanted | undefined, owner: Owner): void {
    const key = wanted === undefined ? undefined : slotKey(wanted.backend, wanted.settings);
    const before = this.#served.get(routeId);
    if (before === key) return;
    if (before !== undefined) {
      this.#slots.get(before)?.served.delete(routeId);
      this.#dirty.set(backendOfKey(before), owner);
    }
    if (wanted === undefined || key === undefined) {
      this.#served.delete(routeId);
      this.#state.put(draft, 'gateway', routeId, undefined, owner);
      return;
    }
    const slot = this.#take(draft, wanted.backend, wanted.settings, owner);
    slot.served.add(routeId);
    this.#served.set(routeId, key);
    this.#state.put(draft, 'gateway', routeId, slotName(slot.place), owner);
  }

  /** Brings the servers of what was touched up to date and frees what nothing names any more. */
  refresh(draft: Draft): void {
    for (const [name, owner] of this.#dirty) {
      const backend = this.#backends.get(name);
      if (backend === undefined) continue;
      const used = [...backend.slots].some((key) => this.#isUsed(key));
      // One that no route names yet is made ready in the settings that most have.
      if (backend.present && !used) this.#take(draft, name, DEFAULT_SETTINGS, owner);
      for (const key of backend.slots) {
        if (!this.#isUsed(key) && (used || !backend.present || key !== name)) this.#free(draft, key, owner);
        else this.#refreshServers(draft, key, backend.spec, owner);
      }
      if (backend.present || backend.slots.size > 0) continue;
      this.#backends.delete(name);
      if (backend.spec !== undefined) {
        this.#service(backend.spec).backends.delete(name);
        this.#tidy(backend.spec);
      }
    }
    this.#dirty = new Map();
  }

  #checkSize(name: string, next: Endpoints): void {
    const slices = this.#services.get(`${next.namespace}/${next.service}`)?.slices ?? [];
    const others = [...slices].filter((slice) => slice !== name);
    const size = others.reduce(
      (sum, slice) => sum + (this.#slices.get(slice)?.endpoints.length ?? 0),
      next.endpoints.length,
    );
    if (size <= MAX_ENDPOINTS) return;
    throw new HeadgateError('HG5005', `the service has ${size} endpoints, more than ${MAX_ENDPOINTS}`, {
      remedy: 'spread them over several services',
    });
  }

  #isUsed(key: string): boolean {
    const slot = this.#slots.get(key);
    return slot !== undefined && slot.routes.size + slot.served.size > 0;
  }

  #refreshServers(draft: Draft, key: string, spec: Backend | undefined, owner: Owner): void {
    const slot = this.#slots.get(key);
    if (spec === undefined || slot === undefined) return;
    const slices = [...this.#service(spec).slices].flatMap((slice) => this.#slices.get(slice) ?? []);
    const held = this.#state.slots[slot.place]?.servers ?? new Map();
    this.#state.setSlotServers(draft, slot.place, serversOf(spec, slices, held, treatmentOfKey(key)), owner);
  }

  #free(draft: Draft, key: string, owner: Owner): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#state.freeSlot(draft, slot.place, key, owner);
    this.pools.release(slot.profile, key);
    this.#slots.delete(key);
    this.#backends.get(slot.backend)?.slots.delete(key);
  }

  #take(draft: Draft, backend: string, settings: BackendSettings, owner: Owner): SlotState {
    const key = slotKey(backend, settings);
    const held = this.#slots.get(key);
    if (held !== undefined) return held;
    const profile = profileOf(settings);
    const place = this.pools.take(draft, profile, key, owner);
    const id = profileId(profile);
    const slot: SlotState = { backend, settings, profile: id, place, routes: new Set(), served: new Set() };
    this.#slots.set(key, slot);
    this.#backend(backend).slots.add(key);
    this.#state.assignSlot(draft, place, key, settings, owner);
    this.#dirty.set(backend, owner);
    return slot;
  }

  #backend(name: string): BackendState {
    let backend = this.#backends.get(name);
    if (backend === undefined) {
      this.#backends.set(name, (backend = { spec: undefined, present: false, slots: new Set() }));
    }
    return backend;
  }

  #service(of: { readonly namespace: string; readonly service: string }) {
    const key = `${of.namespace}/${of.service}`;
    let service = this.#services.get(key);
    if (service === undefined) this.#services.set(key, (service = { slices: new Set(), backends: new Set() }));
    return service;
  }

  #tidy(of: { readonly namespace: string; readonly service: string }): void {
    const key = `${of.namespace}/${of.service}`;
    const service = this.#services.get(key);
    if (service !== undefined && service.slices.size === 0 && service.backends.size === 0) this.#services.delete(key);
  }
}
