import type { FleetState } from '../fleet/state.ts';
import { decodeGuard } from '../fleet/stored-values.ts';
import { keys } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import { hostOfClaim } from './stored-report.ts';
import { pack, type Unit } from '../store/transactions.ts';

/** What a cluster takes with it when it goes. */
export interface Departure {
  readonly ingresses: number;
  readonly routes: number;
  /** Hosts that no other cluster declares, ascending: nobody serves them any more. */
  readonly lastHosts: readonly string[];
}

/** What removing the cluster would take with it. */
export function departureOf(state: Pick<FleetState, 'clusters'>, cluster: string): Departure {
  const leaving = state.clusters.get(cluster);
  const claims = new Set([...(leaving?.ingresses.values() ?? [])].flatMap(({ claimedAt }) => [...claimedAt.keys()]));
  const hosts = new Set([...claims].map(hostOfClaim));
  hosts.delete('');
  for (const other of state.clusters.values()) {
    if (other.name === cluster || hosts.size === 0) continue;
    for (const { claimedAt } of other.ingresses.values())
      for (const claim of claimedAt.keys()) hosts.delete(hostOfClaim(claim));
  }
  return { ingresses: leaving?.ingresses.size ?? 0, routes: claims.size, lastHosts: [...hosts].sort() };
}

/**
 * Deletes everything that a cluster has reported and what guards hold of it; it confirms itself. Its hosts
 * keep their owners for the grace time. Its member record must be gone before: what its streams still bring is
 * then not stored.
 */
export async function forgetCluster(store: Store, cluster: string): Promise<void> {
  const doomed = (await store.range(keys.reportPrefix(cluster))).entries.map(({ key }) => key);
  for (const entry of (await store.range(keys.guard(''))).entries) {
    const record = decodeGuard(entry);
    if (record.cluster !== cluster) continue;
    doomed.push(...(await store.range(keys.heldPrefix(record.id))).entries.map(({ key }) => key), entry.key);
  }
  const units = doomed.map((key): Unit => ({ operations: [{ kind: 'delete', key }] }));
  await Promise.all(pack(units).map((transaction) => store.transact(transaction)));
}
