import { Host } from '../../../proto/gen/headgate/v1/configured.ts';
import type { FleetIndex } from '../../fleet/fleet-index.ts';
import type { FleetState } from '../../fleet/state.ts';
import { type Offer, offersFor } from './offers.ts';
import type { Ownership } from './ownership.ts';
import type { CompiledHost } from '../types.ts';

/** Who serves a wildcard, where, and since which revision. */
export interface Cover {
  readonly namespace: string;
  readonly since: bigint;
  readonly entries: readonly string[];
}

/** undefined where nobody serves it. */
export function coverBy(state: FleetState, index: FleetIndex, wildcard: CompiledHost | undefined): Cover | undefined {
  if (wildcard?.body === undefined) return undefined;
  const { namespace } = Host.decode(wildcard.body.body);
  const since = firstOffer(offersFor(state, index, wildcard.name), namespace);
  return since === undefined ? undefined : { namespace, since, entries: wildcard.recipients };
}

/**
 * Entries at which a wildcard of another namespace would catch a host's requests wrongly. A HostClaim on the host
 * says who may serve it; without one whoever came first stays: a later wildcard catches no host that another has,
 * and a later host takes nothing from a wildcard where the host is not served.
 * @param offers for the host, first committed first.
 */
export function rivalEntries(owner: Ownership, offers: readonly Offer[], cover: Cover | undefined): readonly string[] {
  if (cover === undefined || cover.namespace === owner.namespace) return [];
  if (owner.claim !== undefined) return owner.claim.value.namespaces.includes(cover.namespace) ? [] : cover.entries;
  const since = firstOffer(offers, owner.namespace);
  return since !== undefined && since <= cover.since ? cover.entries : [];
}

function firstOffer(offers: readonly Offer[], namespace: string | undefined): bigint | undefined {
  return offers.find((offer) => offer.namespace === namespace)?.claimedAt;
}
