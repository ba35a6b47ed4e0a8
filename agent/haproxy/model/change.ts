import type { Code } from '../../../lib/errors.ts';
import type { ResourceKey } from '../../../lib/sync/index.ts';
import type { CertificateEntry, Link, Server } from './desired.ts';
import type { MapName } from './names.ts';
import type { Profile } from './profile.ts';

/** One step from the old desired state to the new. Slots and peers' slots are both called backends here. */
export type Op =
  | {
      readonly kind: 'map-set';
      readonly map: MapName;
      readonly key: string;
      readonly value: string;
      readonly isNew: boolean;
    }
  | { readonly kind: 'map-delete'; readonly map: MapName; readonly key: string }
  | {
      readonly kind: 'server-add';
      readonly backend: string;
      readonly server: Server;
      readonly link: Link;
    }
  | { readonly kind: 'server-state'; readonly backend: string; readonly server: Server }
  | { readonly kind: 'server-remove'; readonly backend: string; readonly server: Server }
  /** CAs to verify endpoints by. A file's name is made of its content, so it never changes. */
  | { readonly kind: 'authority-add'; readonly file: string; readonly pem: string }
  | { readonly kind: 'authority-remove'; readonly file: string }
  | { readonly kind: 'certificate-add'; readonly certificate: CertificateEntry }
  | { readonly kind: 'certificate-update'; readonly certificate: CertificateEntry }
  | { readonly kind: 'certificate-remove'; readonly certificate: CertificateEntry }
  /** No runtime command: for labels, counters and the ledger. `owner`: slot key or cluster. */
  | { readonly kind: 'assigned'; readonly backend: string; readonly owner: string }
  | { readonly kind: 'freed'; readonly backend: string; readonly owner: string };

/** An op and the resource of the delta that it belongs to; undefined: housekeeping (forget, grow). */
export interface OwnedOp {
  readonly op: Op;
  readonly resource: ResourceKey | undefined;
}

/** A resource that was not taken in; its last good version stands. */
export interface Rejection {
  readonly key: ResourceKey;
  readonly digest: string;
  readonly code: Code;
  readonly message: string;
  /** Path in the object that the resource comes from, and how to mend it; where known. */
  readonly field: string | undefined;
  readonly remedy: string | undefined;
  /** It is taken in as soon as HAProxy has been reloaded. */
  readonly transient: boolean;
}

export type ReloadReason = 'pool-refill' | 'backend-settings' | 'many-servers';

export interface WantedProfile {
  readonly profile: Profile;
  readonly resources: readonly ResourceKey[];
}

/** What one call to the planner changed in Desired. */
export interface Change {
  /** In the order to run: make before break. */
  readonly ops: readonly OwnedOp[];
  /** Files whose text changed (renderFile), or which are gone (renderFile gives undefined). */
  readonly files: ReadonlySet<string>;
  /** Set when a pool had to grow: the files need a reload before `ops` could be run one by one. */
  readonly reload: ReloadReason | undefined;
  /** What wanted the reload: profiles, with the resources that are in need of each, and all such resources. */
  readonly causes: { readonly profiles: readonly WantedProfile[]; readonly resources: readonly ResourceKey[] };
  readonly rejections: readonly Rejection[];
  /** Routes that went away; their gateway entries stand until `planner.forget`, due in 30 s. */
  readonly lingering: readonly string[];
  /** Assignments changed: write them to the ledger. */
  readonly assignmentsChanged: boolean;
}
