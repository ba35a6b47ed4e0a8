import { claimKey, type GuardRecord } from '../../fleet/state.ts';
import { decodeGuard } from '../../fleet/stored-values.ts';
import { keys, parseHeldKey, parseReportKey } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import { Totals } from '../totals.ts';
import { committedIngress, decodeStoredReport, type StoredReport } from '../stored-report.ts';

/** The guard of a cluster that waits for somebody's word. A cluster has one at most; it grows. */
export interface OpenGuard {
  readonly record: GuardRecord;
  readonly modRevision: bigint;
  /** Held removals, by `<type>/<name>`. */
  readonly held: ReadonlyMap<string, StoredReport>;
  readonly totals: Readonly<Totals>;
  /** Every claim that it keeps up, in held Ingresses and in rules kept beside edited ones. */
  readonly claims: ReadonlySet<string>;
}

/** Bytes of a record's names; a longer list is cut, what is held is told by the store's keys. */
const MAX_HOLDS_BYTES = 512 * 1024;

export function encodeGuard(record: GuardRecord): Uint8Array {
  let bytes = 0;
  const holds = record.holds.filter((name) => (bytes += JSON.stringify(name).length + 1) <= MAX_HOLDS_BYTES);
  return Buffer.from(JSON.stringify({ ...record, holds }));
}

/** Every guard that waits, ascending by id. */
export async function listGuards(store: Store): Promise<GuardRecord[]> {
  return (await store.range(keys.guard(''))).entries.map(decodeGuard);
}

/** @param known what the last call gave: read anew only when its record has changed. */
export async function readOpenGuard(
  store: Store,
  cluster: string,
  known: OpenGuard | undefined,
): Promise<OpenGuard | undefined> {
  for (const entry of (await store.range(keys.guard(''))).entries) {
    if (known !== undefined && entry.key === keys.guard(known.record.id) && entry.modRevision === known.modRevision)
      return known;
    const record = decodeGuard(entry);
    if (record.cluster !== cluster) continue;
    const held = new Map<string, StoredReport>();
    const claims = new Set<string>();
    const totals = new Totals();
    for (const one of (await store.range(keys.heldPrefix(record.id))).entries) {
      const key = parseHeldKey(one.key);
      if (key === undefined) continue;
      const stored = decodeStoredReport(key.type, key.name, one);
      held.set(`${key.type}/${key.name}`, stored);
      totals.add(stored.resource, 1);
      if (key.type === 'ingress') for (const claim of committedIngress(stored).claimedAt.keys()) claims.add(claim);
    }
    for (const { kept } of await keptIngresses(store, cluster, record.id))
      for (const { host, pathType, path } of kept?.rules ?? []) claims.add(claimKey(host, pathType, path));
    return { record, modRevision: entry.modRevision, held, totals, claims };
  }
  return undefined;
}

/** Ingresses of the cluster with rules that the guard keeps. */
export async function keptIngresses(store: Store, cluster: string, guard: string): Promise<StoredReport[]> {
  const found: StoredReport[] = [];
  for (const entry of (await store.range(keys.report(cluster, 'ingress', ''))).entries) {
    const key = parseReportKey(entry.key);
    if (key === undefined) continue;
    const stored = decodeStoredReport(key.type, key.name, entry);
    if (stored.kept?.guard === guard) found.push(stored);
  }
  return found;
}
