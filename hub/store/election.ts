import { type Clock, fullJitter } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { fencedStore } from './fenced-store.ts';
import type { Store } from './store.ts';

export interface ElectionOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** The key that a leader holds by its lease. */
  readonly key: string;
  /** This replica's name, for people who look. */
  readonly candidate: string;
}

/** Milliseconds after which a leader that fell silent is one no more. */
const TTL = 15_000;

/**
 * Runs `lead` whenever this replica is the leader, until the signal is aborted. Leadership is a key that is made
 * where there is none and dies with its lease. What `lead` gets is the store fenced by that key; its signal is
 * aborted when leadership may be lost.
 */
export async function runElected(
  options: ElectionOptions,
  lead: (store: Store, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = options;
  for (let failures = 0; !signal.aborted;) {
    try {
      await untilVacant(options, signal);
      if (signal.aborted) return;
      await term(options, lead, signal);
      failures = 0;
    } catch (thrown) {
      if (signal.aborted) return;
      log.warn('no leader of the hubs here; standing again', { error: HeadgateError.from(thrown) });
      await clock.sleep(fullJitter(clock, failures++, 200, 5_000), signal).catch(() => undefined);
    }
  }
}

/** One try to be elected, and the term where it succeeds. */
async function term(
  { store, log, key, candidate }: ElectionOptions,
  lead: (store: Store, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  await using lease = await store.lease(TTL);
  const commit = await store.transact({
    conditions: [{ key, createRevision: 0n }],
    operations: [{ kind: 'put', key, value: Buffer.from(candidate), lease }],
  });
  if (!commit.committed) return;
  log.info('leading the hubs', { term: commit.revision });
  await lead(fencedStore(store, { key, createRevision: commit.revision }), AbortSignal.any([signal, lease.lost]));
  if (!signal.aborted) log.warn('leading the hubs no more', { term: commit.revision });
}

async function untilVacant({ store, key }: ElectionOptions, signal: AbortSignal): Promise<void> {
  const { entries, revision } = await store.range(key);
  if (!entries.some((entry) => entry.key === key)) return;
  for await (const { changes } of store.watch(key, revision, signal))
    if (changes.some((change) => change.kind === 'delete' && change.key === key)) return;
}
