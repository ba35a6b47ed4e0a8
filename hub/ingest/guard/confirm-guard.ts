import { HeadgateError } from '../../../lib/errors.ts';
import type { GuardRecord } from '../../fleet/state.ts';
import { decodeGuard } from '../../fleet/stored-values.ts';
import { keys } from '../../store/keys.ts';
import type { Commit, Operation, Store } from '../../store/store.ts';
import { keptIngresses } from './open-guard.ts';
import { encodeStoredReport, withoutKept } from '../stored-report.ts';
import { pack, type Unit } from '../../store/transactions.ts';

/** Times that a confirmation starts over because the guard grew meanwhile. */
const ATTEMPTS = 16;

/**
 * Lets everything go that the guard holds by now. The record goes last, so that a confirmation which is cut
 * off can be given again.
 *
 * @param also operations of the transaction that removes the record.
 * @returns the record as it was, and the revision that it went with.
 * @throws HeadgateError HG2007 where no such guard waits, HG4001 where it kept growing.
 */
export async function confirmGuard(
  store: Store,
  id: string,
  also: (record: GuardRecord) => readonly Operation[] = () => [],
): Promise<{ readonly record: GuardRecord; readonly revision: bigint }> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const key = keys.guard(id);
    const entry = await store.get(key);
    if (entry === undefined)
      throw new HeadgateError('HG2007', `no guard '${id}' waits for confirmation`, {
        remedy: 'see `headgate guard list`',
      });
    const record = decodeGuard(entry);
    const units: Unit[] = [];
    for (const held of (await store.range(keys.heldPrefix(id))).entries)
      units.push({ operations: [{ kind: 'delete', key: held.key }] });
    for (const stored of await keptIngresses(store, record.cluster, id)) {
      const report = keys.report(record.cluster, 'ingress', stored.resource.name);
      units.push({
        conditions: [{ key: report, modRevision: stored.modRevision }],
        operations: [{ kind: 'put', key: report, value: encodeStoredReport(withoutKept(stored)) }],
      });
    }
    units.push({
      conditions: [{ key, modRevision: entry.modRevision }],
      operations: [{ kind: 'delete', key }, ...also(record)],
    });
    let last: Commit | undefined;
    for (const transaction of pack(units)) {
      last = await store.transact(transaction);
      if (!last.committed) break;
    }
    if (last?.committed === true) return { record, revision: last.revision };
  }
  throw new HeadgateError('HG4001', `guard '${id}' kept growing while it was confirmed`, { remedy: 'try again' });
}
