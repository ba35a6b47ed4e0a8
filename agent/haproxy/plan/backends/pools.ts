import type { ResourceKey } from '../../../../lib/sync/index.ts';
import type { Assignments, ProfileRun } from '../../model/desired.ts';
import { SLOTS_PER_FILE, slotFile } from '../../model/names.ts';
import { DEFAULT_PROFILE, DEFAULT_PROFILE_ID, type Profile, profileId } from '../../model/profile.ts';
import type { Draft } from '../draft.ts';
import { Pool } from '../pool.ts';
import type { DesiredState } from '../state.ts';

/** Spares that a profile other than the default gets when it is first wanted; what it has is doubled later. */
const FIRST_SPARES = 8;

interface ProfilePool {
  readonly profile: Profile;
  readonly pool: Pool;
  /** Number of the reload that brought it; whom it was made for may come a little later. */
  readonly born: number;
}

/** Slots to come: what a resource wants that has to wait for a reload. */
interface Wish {
  readonly profile: Profile;
  readonly count: number;
}

/** The spares of each profile. Only a reload makes spares, so one brings all that are known to be wanted. */
export class Pools {
  readonly #state: DesiredState;
  readonly #pools = new Map<string, ProfilePool>();
  /** By resource, then by profile id. */
  readonly #wishes = new Map<string, ReadonlyMap<string, Wish>>();

  #draft: Draft | undefined;
  #reloads = 0;

  constructor(state: DesiredState, { slots, profiles, backends }: Assignments) {
    this.#state = state;
    const special = new Map<number, Profile>();
    for (const { profile, from, count } of profiles) {
      for (let i = from; i < Math.min(from + count, slots); i++) special.set(i, profile);
    }
    const places = new Map<string, { readonly profile: Profile; readonly all: number[] }>([
      [DEFAULT_PROFILE_ID, { profile: DEFAULT_PROFILE, all: [] }],
    ]);
    for (let i = 0; i < slots; i++) {
      const profile = special.get(i) ?? DEFAULT_PROFILE;
      state.addSlot(profile);
      const id = profileId(profile);
      const known = places.get(id);
      if (known === undefined) places.set(id, { profile, all: [i] });
      else known.all.push(i);
    }
    for (const [id, { profile, all }] of places)
      this.#pools.set(id, { profile, pool: new Pool(all, backends), born: -Infinity });
  }

  /** Spares of the default profile. */
  get free(): number {
    return this.#pools.get(DEFAULT_PROFILE_ID)?.pool.free ?? 0;
  }

  /** Whether a reload would let waiting resources in. */
  get wished(): boolean {
    return this.#wishes.size > 0;
  }

  /** Profiles other than the default whose spares run out; they are not refilled for what is gone. */
  get scarce(): boolean {
    return [...this.#pools].some(([id, { pool }]) => id !== DEFAULT_PROFILE_ID && isScarce(pool));
  }

  assignments(): Pick<Assignments, 'slots' | 'profiles' | 'backends'> {
    const backends = new Map([...this.#pools.values()].flatMap(({ pool }) => [...pool.places]));
    return { slots: this.#state.slots.length, profiles: runs(this.#state.slots), backends };
  }

  /** Spares of a profile. */
  freeOf(id: string): number {
    return this.#pools.get(id)?.pool.free ?? 0;
  }

  /** Takes a slot, and makes more where there is none. */
  take(draft: Draft, profile: Profile, key: string, owner: ResourceKey | undefined): number {
    const id = profileId(profile);
    let place = this.#pools.get(id)?.pool.take(key);
    if (place === undefined) {
      if (id === DEFAULT_PROFILE_ID) this.growDefault(draft, SLOTS_PER_FILE);
      else this.#growProfile(draft, profile, 1, owner);
      place = this.#pools.get(id)?.pool.take(key);
    }
    if (place === undefined) throw new RangeError('a pool that has grown is dry');
    return place;
  }

  release(id: string, key: string): void {
    this.#pools.get(id)?.pool.release(key);
  }

  /** Notes what a resource waits for; nothing: it waits no more. */
  wish(resource: ResourceKey, wishes: ReadonlyMap<string, Wish>): void {
    const name = `${resource.type}/${resource.name}`;
    if (wishes.size === 0) this.#wishes.delete(name);
    else this.#wishes.set(name, wishes);
  }

  growDefault(draft: Draft, count: number): void {
    draft.needReload('pool-refill');
    this.#make(draft, DEFAULT_PROFILE, wholeFiles(count));
    this.#grantWishes(draft);
  }

  /** Makes what is waited for, and doubles pools that are scarce. */
  growProfiles(draft: Draft): void {
    for (const [id, { profile, pool }] of this.#pools) {
      if (id === DEFAULT_PROFILE_ID || !isScarce(pool)) continue;
      draft.needReload('pool-refill');
      this.#make(draft, profile, pool.size);
    }
    this.#grantWishes(draft);
  }

  /** Gives slots that nobody uses to the default profile: HAProxy refuses theirs. */
  abandon(draft: Draft, refused: readonly Profile[]): void {
    draft.needReload('backend-settings');
    const ids = new Set(refused.map(profileId));
    for (const [id, { pool }] of this.#pools) {
      if (id === DEFAULT_PROFILE_ID || !pool.unused || !ids.has(id)) continue;
      this.#pools.delete(id);
      const places = pool.dissolve();
      for (const place of places) {
        this.#state.reprofile(place, DEFAULT_PROFILE);
        draft.touch(slotFile(place));
      }
      this.#pools.get(DEFAULT_PROFILE_ID)?.pool.add(places);
    }
  }

  dropHints(): void {
    for (const { pool } of this.#pools.values()) pool.dropHints();
  }

  #growProfile(draft: Draft, profile: Profile, least: number, owner: ResourceKey | undefined): void {
    draft.needReload('backend-settings', profile, owner);
    const size = this.#pools.get(profileId(profile))?.pool.size ?? 0;
    let count = Math.max(FIRST_SPARES, size);
    while (count < least) count *= 2;
    this.#make(draft, profile, count);
    this.#grantWishes(draft);
  }

  #grantWishes(draft: Draft): void {
    const wanted = new Map<string, { readonly profile: Profile; count: number }>();
    for (const [resource, wishes] of this.#wishes) {
      for (const [id, { profile, count }] of wishes) {
        const known = wanted.get(id);
        if (known === undefined) wanted.set(id, { profile, count });
        else known.count += count;
        const slash = resource.indexOf('/');
        const key = { type: resource.slice(0, slash), name: resource.slice(slash + 1) };
        draft.needReload('backend-settings', profile, key);
      }
    }
    this.#wishes.clear();
    for (const [id, { profile, count }] of wanted) {
      const missing = count - this.freeOf(id);
      if (missing > 0) this.#growProfile(draft, profile, missing, undefined);
    }
  }

  /** Spares of a profile that nobody uses any more become what is wanted: this is a reload anyway. */
  #make(draft: Draft, profile: Profile, count: number): void {
    if (draft !== this.#draft) this.#reloads++;
    this.#draft = draft;
    const id = profileId(profile);
    const made: number[] = [];
    for (const [other, known] of this.#pools) {
      if (other === id || other === DEFAULT_PROFILE_ID || !known.pool.unused) continue;
      if (this.#reloads - known.born < 2) continue;
      this.#pools.delete(other);
      for (const place of known.pool.dissolve()) {
        this.#state.reprofile(place, profile);
        draft.touch(slotFile(place));
        made.push(place);
      }
    }
    while (made.length < count) {
      const place = this.#state.addSlot(profile);
      draft.touch(slotFile(place));
      made.push(place);
    }
    const known = this.#pools.get(id);
    if (known === undefined) this.#pools.set(id, { profile, pool: new Pool(made, new Map()), born: this.#reloads });
    else known.pool.add(made);
  }
}

/** A profile's pool that is in use and has hardly a spare. */
function isScarce(pool: Pool): boolean {
  return !pool.unused && pool.free <= pool.size / 8;
}

function runs(slots: readonly { readonly profile: Profile }[]): ProfileRun[] {
  const found: { readonly profile: Profile; readonly from: number; count: number }[] = [];
  for (const [i, { profile }] of slots.entries()) {
    const id = profileId(profile);
    if (id === DEFAULT_PROFILE_ID) continue;
    const last = found.at(-1);
    if (last !== undefined && last.from + last.count === i && profileId(last.profile) === id) last.count++;
    else found.push({ profile, from: i, count: 1 });
  }
  return found;
}

function wholeFiles(slots: number): number {
  return Math.ceil(slots / SLOTS_PER_FILE) * SLOTS_PER_FILE;
}
