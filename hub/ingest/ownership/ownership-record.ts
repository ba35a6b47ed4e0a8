import type { Ingress } from '../../../proto/gen/headgate/v1/reported.ts';
import type { OwnershipRecord } from '../../fleet/state.ts';
import { decodeOwnership } from '../../fleet/stored-values.ts';
import { keys } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import { committedIngress, hostOfClaim, type StoredReport } from '../stored-report.ts';
import type { Unit } from '../../store/transactions.ts';

export function encodeOwnership({ host, namespace, releasedAt }: OwnershipRecord): Uint8Array {
  return Buffer.from(JSON.stringify({ host, namespace, releasedAt }));
}

/**
 * The ownership that an Ingress takes with the hosts it newly claims: of hosts that nobody owns, and of those
 * its namespace had let go. One unit per host.
 *
 * @param claimedHosts hosts claimed before in the same delta; the Ingress's are added.
 */
export async function ownerUnits(
  store: Store,
  ingress: Ingress,
  previous: StoredReport | undefined,
  claimedHosts: Set<string>,
): Promise<Unit[]> {
  const before = previous === undefined ? [] : [...committedIngress(previous).claimedAt.keys()].map(hostOfClaim);
  const known = new Set(['', ...before]);
  const units: Unit[] = [];
  for (const host of new Set(ingress.rules.map((rule) => rule.host))) {
    if (known.has(host) || claimedHosts.has(host)) continue;
    claimedHosts.add(host);
    const key = keys.owner(host);
    const entry = await store.get(key);
    const record = entry === undefined ? undefined : decodeOwnership(entry);
    const ours = record?.releasedAt !== undefined && record.namespace === ingress.namespace;
    if (record !== undefined && !ours) continue;
    units.push({
      conditions: [{ key, modRevision: entry?.modRevision ?? 0n }],
      operations: [{ kind: 'put', key, value: encodeOwnership({ host, namespace: ingress.namespace }) }],
    });
  }
  return units;
}
