import type { BackendSettings } from '../../../proto/gen/headgate/v1/configured.ts';
import type { Listeners } from '../data-plane.ts';
import type { MapName } from './names.ts';
import type { Profile } from './profile.ts';

/** One server line. `name` is unique in its backend and derived from address and port. */
export interface Server {
  readonly name: string;
  /** IPv4 or IPv6 literal, without brackets. */
  readonly address: string;
  readonly port: number;
  /**
   * HAProxy's number of it, unique in its backend: its place in consistent hashes, so it is made of the address. Their
   * own numbers would change with each reload, and HAProxy 2.6 gives all servers added at runtime the same place.
   */
  readonly id?: number;
  /** drain: finishes what it has, gets nothing new. */
  readonly state: 'ready' | 'drain';
}

/** How the servers of a backend are spoken to and looked after: what their options are made of. */
export type Link =
  /** Another cluster's gateway; `serverName` is the DNS name that its certificate carries. */
  | { readonly kind: 'gateway'; readonly serverName: string }
  | { readonly kind: 'endpoint'; readonly settings: BackendSettings };

/** A backend of a profile: spare, or assigned to a backend resource and settings. */
export interface Slot {
  /** `s0000`. */
  readonly name: string;
  readonly profile: Profile;
  /** Key of what it is assigned to (`slotKey`); undefined: spare. */
  readonly backend: string | undefined;
  /** Those of `backend`; the defaults for a spare. */
  readonly settings: BackendSettings;
  /** By server name. */
  readonly servers: ReadonlyMap<string, Server>;
}

/** A backend towards another cluster's gateways. */
export interface PeerSlot {
  /** `p00`. */
  readonly name: string;
  readonly cluster: string | undefined;
  /** DNS name that the gateways' certificates carry; undefined until the peer is known. */
  readonly serverName: string | undefined;
  readonly servers: ReadonlyMap<string, Server>;
}

export interface CertificateEntry {
  /** Relative to HAProxy's folder. */
  readonly file: string;
  /** SNI names it serves, ascending; `*.x` covers one label. Never empty. */
  readonly hosts: readonly string[];
  /** Key and chain, PEM. */
  readonly pem: string;
}

/** A map's entries with their text at hand; see MapTable. */
export interface MapView extends Iterable<readonly [string, string]> {
  get(key: string): string | undefined;
  readonly size: number;
  /** The map file: one `key value` a line. */
  text(): string;
}

/** Everything that HAProxy should hold, apart from what is fixed at start (Fixed). */
export interface Desired {
  readonly maps: Readonly<Record<MapName, MapView>>;
  /** By slot number. */
  readonly slots: readonly Slot[];
  readonly peers: readonly PeerSlot[];
  /** By file. */
  readonly certificates: ReadonlyMap<string, CertificateEntry>;
  /** For a client whose SNI names nothing here, in the place of the self-made one. */
  readonly defaultCertificate: string | undefined;
  /** CAs that endpoints are verified by: file → PEM. */
  readonly authorities: ReadonlyMap<string, string>;
}

/** What is fixed when HAProxy starts, or changes by its own command. PEM and addresses. */
export interface Fixed {
  readonly cluster: string;
  /** Real ports: `:0` is already resolved. */
  readonly listeners: Listeners;
  /** Leaf, chain and key in one PEM. */
  readonly gatewayCertificate: string;
  readonly gatewayCa: string;
  /** Self-made leaf and key in one PEM. */
  readonly defaultCertificate: string;
  /** Names endpoints in cookies; the same on every node of the cluster. */
  readonly cookieKey: string;
  /** Worker threads; undefined leaves it to HAProxy. */
  readonly threads: number | undefined;
}

/** Which slot holds what: kept in the ledger, so that a restart changes no assignment. */
export interface Assignments {
  /** Slots in all. */
  readonly slots: number;
  /** Slots that are not of the default profile: runs of them, ascending. */
  readonly profiles: readonly ProfileRun[];
  readonly peerSlots: number;
  /** Slot key → slot number. */
  readonly backends: ReadonlyMap<string, number>;
  /** Cluster → peer slot number. */
  readonly peers: ReadonlyMap<string, number>;
}

export interface ProfileRun {
  readonly profile: Profile;
  /** Slot number of the first. */
  readonly from: number;
  readonly count: number;
}
