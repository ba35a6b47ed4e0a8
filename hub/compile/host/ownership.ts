import { claimPatterns } from '../../../lib/domain/host-name.ts';
import type { HostClaimSpec } from '../../../lib/policy/schemas.ts';
import type { FleetIndex } from '../../fleet/fleet-index.ts';
import type { CommittedPolicy, FleetState } from '../../fleet/state.ts';
import type { Offer } from './offers.ts';
import { compare, compareBigint } from '../../../lib/compare.ts';

export interface Ownership {
  /** The only namespace whose offers count; undefined where a claim reserves the host for one that has none. */
  readonly namespace: string | undefined;
  /** The HostClaim that settles it. */
  readonly claim: CommittedPolicy<HostClaimSpec> | undefined;
}

/**
 * Who owns a host. A HostClaim settles it: the most specific pattern counts, of equal ones the first
 * committed; where it allows several namespaces, the recorded one, else the first to offer. Without one the
 * record in the store says it. A host that has offers and no record yet goes to the first committed.
 */
export function hostOwner(state: FleetState, index: FleetIndex, host: string, offers: readonly Offer[]): Ownership {
  const record = state.owners.get(host)?.namespace;
  const claim = hostClaim(index, host);
  if (claim === undefined) return { namespace: record ?? offers[0]?.namespace, claim };
  const { namespaces } = claim.value;
  const allowed = (namespace: string) => namespaces.includes(namespace);
  if (record !== undefined && allowed(record)) return { namespace: record, claim };
  const first = offers.find((offer) => allowed(offer.namespace) && mayOffer(claim, offer.cluster));
  return { namespace: first?.namespace, claim };
}

/** Whether a claim lets a cluster offer its hosts. */
export function mayOffer(claim: CommittedPolicy<HostClaimSpec> | undefined, cluster: string): boolean {
  return claim?.value.clusters?.includes(cluster) ?? true;
}

function hostClaim(index: FleetIndex, host: string): CommittedPolicy<HostClaimSpec> | undefined {
  for (const pattern of claimPatterns(host)) {
    const claims = [...(index.claims.get(pattern)?.values() ?? [])];
    claims.sort((a, b) => compareBigint(a.createRevision, b.createRevision) || compare(a.name, b.name));
    if (claims[0] !== undefined) return claims[0];
  }
  return undefined;
}
