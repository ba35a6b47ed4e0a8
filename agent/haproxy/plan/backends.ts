import type { ResourceKey } from '../../../lib/sync/index.ts';
import type { Backend, Endpoints } from '../../../proto/gen/headgate/v1/configured.ts';
import type { Assignments } from '../model/desired.ts';
import { SLOTS_PER_FILE, slotFile, slotName } from '../model/names.ts';
import type { Draft } from './draft.ts';
import { Pool } from './pool.ts';
import { serversOf } from './servers.ts';
import type { DesiredState } from './state.ts';

type Owner = ResourceKey | undefined;

interface BackendState {
  /** Kept after the resource is gone, for the routes that linger. */
  spec: Backend | undefined;
  present: boolean;
  /** Routes, by id, that name it now. */
  readonly routes: Set<string>;
  /** Route ids that gateways may ask of it. */
  readonly served: Set<string>;
}

/** Own backends: which slot each has, and its servers. A backend keeps its slot while anything names it. */
export class Backends {
  readonly pool: Pool;
  readonly #state: DesiredState;
  readonly #backends = new Map<string, BackendState>();
  readonly #slices = new Map<string, Endpoints>();
  /** Per service: the names of its slices and of its backends. */
  readonly #services = new Map<string, { readonly slices: Set<string>; readonly backends: Set<string> }>();
  readonly #routes = new Map<string, string>();
  readonly #served = new Map<string, string>();
  /** Backends to look at anew, and for whom. */
  #dirty = new Map<string, Owner>();

  constructor(state: DesiredState, { slots, backends }: Assignments) {
    const size = wholeFiles(slots);
    this.#state = state;
    this.pool = new Pool(size, backends);
    state.addSlots(size);
  }

  grow(draft: Draft, count: number): void {
    const size = wholeFiles(count);
    for (let i = 0; i < size; i += SLOTS_PER_FILE) draft.touch(slotFile(this.pool.size + i));
    this.pool.grow(size);
    this.#state.addSlots(size);
    draft.needReload('pool-refill');
  }

  set(draft: Draft, name: string, spec: Backend, owner: Owner): void {
    const backend = this.#take(draft, name, owner);
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

  setSlice(name: string, next: Endpoints | undefined, owner: Owner): void {
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

  /** Notes the backend that a route names; undefined: none. @returns its slot. */
  hold(draft: Draft, routeId: string, name: string | undefined, owner: Owner): string | undefined {
    const before = this.#routes.get(routeId);
    if (before !== undefined && before !== name) {
      this.#backends.get(before)?.routes.delete(routeId);
      this.#routes.delete(routeId);
      this.#dirty.set(before, owner);
    }
    if (name === undefined) return undefined;
    this.#take(draft, name, owner).routes.add(routeId);
    this.#routes.set(routeId, name);
    return slotName(this.pool.placeOf(name) ?? 0);
  }

  /** The backend that gateways get for a route id. */
  served(routeId: string): string | undefined {
    return this.#served.get(routeId);
  }

  serve(draft: Draft, routeId: string, name: string | undefined, owner: Owner): void {
    const before = this.#served.get(routeId);
    if (before === name) return;
    if (before !== undefined) {
      this.#backends.get(before)?.served.delete(routeId);
      this.#dirty.set(before, owner);
    }
    if (name === undefined) {
      this.#served.delete(routeId);
      this.#state.put(draft, 'gateway', routeId, undefined, owner);
      return;
    }
    this.#take(draft, name, owner).served.add(routeId);
    this.#served.set(routeId, name);
    this.#state.put(draft, 'gateway', routeId, slotName(this.pool.placeOf(name) ?? 0), owner);
  }

  /** Brings the servers of what was touched up to date and frees what nothing names any more. */
  refresh(draft: Draft): void {
    for (const [name, owner] of this.#dirty) {
      const backend = this.#backends.get(name);
      const place = this.pool.placeOf(name);
      if (backend === undefined || place === undefined) continue;
      if (!backend.present && backend.routes.size === 0 && backend.served.size === 0) {
        this.#state.freeSlot(draft, place, name, owner);
        this.pool.release(name);
        this.#backends.delete(name);
        if (backend.spec !== undefined) {
          this.#service(backend.spec).backends.delete(name);
          this.#tidy(backend.spec);
        }
        continue;
      }
      if (backend.spec === undefined) continue;
      const slices = [...this.#service(backend.spec).slices].flatMap((slice) => this.#slices.get(slice) ?? []);
      const held = this.#state.slots[place]?.servers ?? new Map();
      this.#state.setSlotServers(draft, place, serversOf(backend.spec, slices, held), owner);
    }
    this.#dirty = new Map();
  }

  #take(draft: Draft, name: string, owner: Owner): BackendState {
    const held = this.#backends.get(name);
    if (held !== undefined) return held;
    let place = this.pool.take(name);
    if (place === undefined) {
      this.grow(draft, SLOTS_PER_FILE);
      place = this.pool.take(name) ?? 0;
    }
    const backend: BackendState = { spec: undefined, present: false, routes: new Set(), served: new Set() };
    this.#backends.set(name, backend);
    this.#state.assignSlot(draft, place, name, owner);
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

function wholeFiles(slots: number): number {
  return Math.ceil(slots / SLOTS_PER_FILE) * SLOTS_PER_FILE;
}
