import type { ClusterCopy } from '../cluster-copy.ts';

/** A removal of more routes than this, and of more than this share, is held. */
const MAX_ROUTES = 10;
const MAX_SHARE = 0.2;

export interface ShrinkInput {
  /** The last accepted state, what a guard already holds left out. */
  readonly copy: Pick<ClusterCopy, 'routes' | 'claimants' | 'claimsOfIngress'>;
  /** Claims that an open guard of this cluster holds: they count as accepted until somebody confirms. */
  readonly held: ReadonlySet<string>;
  /** Claims of every Ingress that the delta writes, by its name. */
  readonly written: ReadonlyMap<string, ReadonlySet<string>>;
  /** Names of the Ingresses that the delta removes. */
  readonly removed: readonly string[];
  /** The delta ends a snapshot that has nothing in it: a silent cluster is not an empty cluster. */
  readonly emptySnapshot: boolean;
}

export interface Shrink {
  /** Whether the guard holds what the delta drops. */
  readonly trips: boolean;
  /** Claims that no Ingress of the cluster makes any more. */
  readonly dropped: ReadonlySet<string>;
  /** Routes dropped now or held already, and routes there were, held ones included. Costs what is held. */
  count(): { readonly gone: number; readonly before: number };
}

/** Judges a delta. Routes are counted, not Ingresses: one that moves to another Ingress is not dropped. */
export function judgeShrink({ copy, held, written, removed, emptySnapshot }: ShrinkInput): Shrink {
  const change = new Map<string, number>();
  const add = (claims: Iterable<string>, by: number): void => {
    for (const claim of claims) change.set(claim, (change.get(claim) ?? 0) + by);
  };
  for (const name of removed) add(copy.claimsOfIngress(name), -1);
  for (const [name, claims] of written) {
    add(copy.claimsOfIngress(name), -1);
    add(claims, 1);
  }
  const claimedAfter = (claim: string): boolean => copy.claimants(claim) + (change.get(claim) ?? 0) > 0;
  const dropped = new Set([...change.keys()].filter((claim) => copy.claimants(claim) > 0 && !claimedAfter(claim)));
  const count = (): { gone: number; before: number } => {
    const onlyHeld = [...held].filter((claim) => copy.claimants(claim) === 0);
    const gone = dropped.size + onlyHeld.filter((claim) => !claimedAfter(claim)).length;
    return { gone, before: copy.routes + onlyHeld.length };
  };
  return { trips: dropped.size > 0 && (emptySnapshot || tooMany(count())), dropped, count };
}

function tooMany({ gone, before }: { gone: number; before: number }): boolean {
  return gone > MAX_ROUTES && gone > MAX_SHARE * before;
}
