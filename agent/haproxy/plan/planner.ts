import { HeadgateError } from '../../../lib/errors.ts';
import type { Resource, ResourceDelta, ResourceKey } from '../../../lib/sync/index.ts';
import type { Change } from '../model/change.ts';
import type { Assignments, Desired } from '../model/desired.ts';
import { type Profile, profileId } from '../model/profile.ts';
import { Backends } from './backends/backends.ts';
import { Certificates } from './certificates.ts';
import {
  decodeBackend,
  decodeCertificate,
  decodeEndpoints,
  decodeHost,
  decodePeer,
  decodeSplit,
  type OwnListener,
} from './decode.ts';
import { Draft } from './draft.ts';
import { Hosts } from './hosts.ts';
import { Peers } from './peers.ts';
import { DesiredState } from './state.ts';

export interface PlannerOptions {
  /** Own cluster's id. */
  readonly cluster: string;
  /** What of the node itself no endpoint may be. */
  readonly ownListener?: OwnListener;
  /** Size of the pools and who had which slot: hints, honoured where the first delta asks for the same. */
  readonly assignments: Assignments;
  /** Whether the listener chain can pass TLS through; without it a host that asks for it is refused. */
  readonly tlsPassthrough?: boolean;
  /** What a client gets whose SNI names nothing here, until a certificate is offered for it. PEM. */
  readonly selfMadeCertificate?: string;
}

/**
 * Keeps Desired true to the resources it was given. A delta is taken in resource by resource (checked first, so a
 * refused one leaves its last good version standing), then what it touched is computed anew, once.
 */
export class Planner {
  readonly #cluster: string;
  readonly #ownListener: OwnListener;
  readonly #state = new DesiredState();
  readonly #backends: Backends;
  readonly #peers: Peers;
  readonly #certificates: Certificates;
  readonly #hosts: Hosts;
  #settled = false;

  constructor(options: PlannerOptions) {
    const { cluster, assignments, ownListener = () => undefined } = options;
    this.#cluster = cluster;
    this.#ownListener = ownListener;
    this.#backends = new Backends(this.#state, assignments);
    this.#peers = new Peers(this.#state, assignments);
    this.#certificates = new Certificates(this.#state, options.selfMadeCertificate);
    const targets = { backends: this.#backends, peers: this.#peers, certificates: this.#certificates };
    this.#hosts = new Hosts(this.#state, targets, { cluster, tlsPassthrough: options.tlsPassthrough ?? false });
  }

  /** A live view: it changes with the next call. */
  get desired(): Desired {
    return this.#state;
  }

  get sparesLeft(): number {
    return this.#backends.pools.free;
  }

  /** Whether resources wait for a reload that brings slots for their settings, or, in quiet times, soon would. */
  needsSlots(quiet: boolean): boolean {
    return this.#backends.pools.wished || (quiet && this.#backends.pools.scarce);
  }

  assignments(): Assignments {
    const peers = this.#peers.pool;
    return { ...this.#backends.pools.assignments(), peerSlots: peers.size, peers: new Map(peers.places) };
  }

  /**
   * Takes in a delta; the first call must hold the whole inventory. To undo a resource, apply its last good
   * version, or its removal. Types that the data plane does not know are let be.
   * @param mayReload whether new settings may have a reload now; otherwise what needs one is rejected as transient.
   */
  apply(delta: ResourceDelta, mayReload = true): Change {
    const draft = new Draft(mayReload);
    for (const key of delta.removals) this.#remove(draft, key);
    for (const next of delta.upserts) {
      try {
        this.#take(draft, next);
      } catch (error) {
        const { code, message, field, remedy } = HeadgateError.from(error);
        const key = { type: next.type, name: next.name };
        draft.reject({ key, digest: next.digest, code, message, field, remedy, transient: code === 'HG5006' });
      }
    }
    this.#hosts.refresh(draft);
    this.#backends.refresh(draft);
    this.#peers.refresh(draft);
    this.#certificates.refresh(draft);
    if (!this.#settled) {
      this.#settled = true;
      this.#backends.pools.dropHints();
      this.#peers.pool.dropHints();
    }
    return draft.finish();
  }

  /** The own certificate that has a file. */
  certificateOf(file: string): string | undefined {
    return this.#certificates.nameOf(file);
  }

  /** The hosts that have slots of a profile. */
  hostsOf(profile: Profile): readonly ResourceKey[] {
    const owners = this.#backends.routesOf(profileId(profile)).map((id) => this.#hosts.ownerOf(id));
    return [...new Set(owners)].flatMap((name) => (name === undefined ? [] : [{ type: 'host', name }]));
  }

  /** Drops lingering routes from the gateway map; those that came back meanwhile stay. */
  forget(routeIds: readonly string[]): Change {
    const draft = new Draft(false);
    this.#hosts.forget(draft, routeIds);
    this.#backends.refresh(draft);
    return draft.finish();
  }

  /** Adds at least `count` spare slots of the default profile, in whole files; needs a reload. */
  grow(count: number): Change {
    const draft = new Draft();
    this.#backends.pools.growDefault(draft, count);
    return draft.finish();
  }

  /** Makes the slots that `needsSlots` tells of; needs a reload. */
  growProfiles(): Change {
    const draft = new Draft();
    this.#backends.pools.growProfiles(draft);
    return draft.finish();
  }

  /** Takes back the slots of these profiles where nobody uses them; needs a reload. */
  abandonProfiles(refused: readonly Profile[]): Change {
    const draft = new Draft();
    this.#backends.pools.abandon(draft, refused);
    return draft.finish();
  }

  #take(draft: Draft, next: Resource): void {
    const owner = { type: next.type, name: next.name };
    switch (next.type) {
      case 'host':
        this.#hosts.set(
          draft,
          decodeHost(next, (id) => this.#hosts.ownerOf(id)),
          owner,
        );
        break;
      case 'split':
        this.#hosts.setSplit(next.name, decodeSplit(next), owner);
        break;
      case 'backend':
        this.#backends.set(next.name, decodeBackend(next), owner);
        break;
      case 'endpoints':
        this.#backends.setSlice(next.name, decodeEndpoints(next, this.#ownListener), owner);
        break;
      case 'own-certificate':
        this.#certificates.set(next.name, decodeCertificate(next));
        break;
      case 'peer': {
        const peer = decodePeer(next);
        // The own gateway is answered when it calls, and never called.
        this.#peers.set(draft, peer, peer.cluster === this.#cluster, owner);
        break;
      }
      default:
        break;
    }
  }

  #remove(draft: Draft, key: ResourceKey): void {
    switch (key.type) {
      case 'host':
        this.#hosts.drop(draft, key.name, key);
        break;
      case 'split':
        this.#hosts.setSplit(key.name, undefined, key);
        break;
      case 'backend':
        this.#backends.drop(key.name, key);
        break;
      case 'endpoints':
        this.#backends.setSlice(key.name, undefined, key);
        break;
      case 'own-certificate':
        this.#certificates.set(key.name, undefined);
        break;
      case 'peer':
        this.#peers.drop(draft, key.name, key);
        break;
      default:
        break;
    }
  }
}
