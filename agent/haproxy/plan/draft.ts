import { unreachable } from '../../../lib/errors.ts';
import type { ResourceKey } from '../../../lib/sync/index.ts';
import type { Change, Op, OwnedOp, Rejection, ReloadReason } from '../model/change.ts';
import { type Profile, profileId } from '../model/profile.ts';
import { files, mapFile, type MapName, type RegexBucket, regexBuckets, slotFile } from '../model/names.ts';

type Owner = ResourceKey | undefined;

/** Make before break: what a step rests on stands before it, and goes after it. */
const setPhase: Readonly<Record<MapName, number>> = {
  ...inBuckets(5),
  regex: 4,
  peer: 3,
  tag: 3,
  gateway: 3,
  response: 3,
  tunnel: 3,
  queue: 3,
  kept: 3,
  sticky: 4,
  path: 5,
  host: 6,
  wildcard: 6,
  passthrough: 6,
};
const deletePhase: Readonly<Record<MapName, number>> = {
  ...inBuckets(7),
  regex: 8,
  passthrough: 7,
  host: 7,
  wildcard: 7,
  path: 8,
  sticky: 9,
  gateway: 9,
  peer: 9,
  tag: 9,
  response: 10,
  tunnel: 10,
  queue: 10,
  kept: 10,
};

function inBuckets(at: number): Record<RegexBucket, number> {
  return Object.fromEntries(regexBuckets.map((bucket) => [bucket, at])) as Record<RegexBucket, number>;
}

function phase(op: Op): number {
  switch (op.kind) {
    case 'authority-add':
    case 'certificate-add':
    case 'certificate-update':
      return 0;
    case 'assigned':
      return 1;
    case 'server-add':
      return 2;
    case 'server-state':
      return op.server.state === 'ready' ? 2 : 10;
    case 'map-set':
      return setPhase[op.map];
    case 'map-delete':
      return deletePhase[op.map];
    case 'server-remove':
      return 10;
    case 'freed':
      return 11;
    case 'authority-remove':
    case 'certificate-remove':
      return 12;
    default:
      return unreachable(op);
  }
}

/**
 * Servers that one change may add to one backend at runtime. Each costs as much as the backend is long, with all of the
 * worker standing still meanwhile (0.3 µs a server held on 2.6.12): from nothing to 10,000 takes 17 s, and a reload of
 * the same a tenth of it.
 */
const MANY_SERVERS = 1_000;

/** A change while it is being made. */
export class Draft {
  readonly #ops: OwnedOp[] = [];
  readonly #files = new Set<string>();
  readonly #rejections: Rejection[] = [];
  readonly #lingering: string[] = [];
  /** New profiles and what is in need of them, by id. */
  readonly #profiles = new Map<string, { readonly profile: Profile; readonly resources: Map<string, ResourceKey> }>();
  readonly #resources = new Map<string, ResourceKey>();
  /** A reload for new settings may be had now. */
  readonly mayReload: boolean;
  #reload: ReloadReason | undefined;
  /** Servers added, by backend. */
  readonly #added = new Map<string, number>();

  constructor(mayReload = true) {
    this.mayReload = mayReload;
  }

  add(op: Op, resource: Owner): void {
    this.#ops.push({ op, resource });
    switch (op.kind) {
      case 'map-set':
      case 'map-delete':
        this.#files.add(mapFile(op.map));
        break;
      case 'server-add': {
        const added = (this.#added.get(op.backend) ?? 0) + 1;
        this.#added.set(op.backend, added);
        if (added > MANY_SERVERS && this.#reload === undefined) this.needReload('many-servers', undefined, resource);
        this.touch(backendFile(op.backend));
        break;
      }
      case 'server-state':
      case 'server-remove':
        this.touch(backendFile(op.backend));
        break;
      case 'certificate-add':
      case 'certificate-remove':
        this.touch(files.crtList);
        this.touch(op.certificate.file);
        break;
      case 'certificate-update':
        this.touch(op.certificate.file);
        break;
      case 'authority-add':
      case 'authority-remove':
        this.touch(op.file);
        break;
      case 'assigned':
      case 'freed':
        break;
    }
  }

  touch(file: string): void {
    this.#files.add(file);
  }

  /**
   * @param profile of which there were too few slots.
   * @param resource what is in need of it.
   */
  needReload(reason: ReloadReason, profile?: Profile, resource?: ResourceKey): void {
    // New settings explain a reload better than what else it brings.
    if (this.#reload !== 'backend-settings') this.#reload = reason;
    const label = resource === undefined ? '' : `${resource.type}/${resource.name}`;
    if (resource !== undefined) this.#resources.set(label, resource);
    if (profile === undefined) return;
    const id = profileId(profile);
    const known = this.#profiles.get(id) ?? { profile, resources: new Map() };
    this.#profiles.set(id, known);
    if (resource !== undefined) known.resources.set(label, resource);
  }

  reject(rejection: Rejection): void {
    this.#rejections.push(rejection);
  }

  linger(routeId: string): void {
    this.#lingering.push(routeId);
  }

  finish(): Change {
    const ops = this.#ops
      .map((owned, i) => ({ owned, i, at: phase(owned.op) }))
      .sort((a, b) => a.at - b.at || a.i - b.i)
      .map(({ owned }) => owned);
    return {
      ops,
      files: this.#files,
      reload: this.#reload,
      causes: {
        profiles: [...this.#profiles.values()].map(({ profile, resources }) => ({
          profile,
          resources: [...resources.values()],
        })),
        resources: [...this.#resources.values()],
      },
      rejections: this.#rejections,
      lingering: this.#lingering,
      assignmentsChanged:
        this.#reload !== undefined || ops.some(({ op }) => op.kind === 'assigned' || op.kind === 'freed'),
    };
  }
}

function backendFile(backend: string): string {
  return backend.startsWith('p') ? files.peers : slotFile(Number(backend.slice(1)));
}
