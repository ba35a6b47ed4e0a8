import type { Clock } from '../lib/clock.ts';
import type { Presence } from './view.ts';

/** Below this a report is fresh, milliseconds: some heartbeats (4 s each) may be late. */
const FRESH_MS = 15_000;

/** Milliseconds between two looks. */
const EVERY_MS = 1_000;

/**
 * How long each cluster has been silent; 0 for one that is fresh. Judged only by a hub that is connected to
 * the rest of the fleet: one that hears fewer than half of the other clusters has itself lost the network, or
 * has just started.
 *
 * @param upMs since this hub started: what was never heard is silent since then.
 */
export function judgeSilence(
  members: Iterable<string>,
  presence: Pick<Presence, 'heardAgoMs'>,
  upMs: number,
): ReadonlyMap<string, number> {
  const silent = new Map([...members].map((name) => [name, presence.heardAgoMs(name) ?? upMs]));
  const fresh = [...silent.values()].filter((ms) => ms < FRESH_MS).length;
  const judged = new Map<string, number>();
  for (const [name, ms] of silent) judged.set(name, ms >= FRESH_MS && fresh * 2 >= silent.size - 1 ? ms : 0);
  return judged;
}

export interface SilenceOptions {
  readonly clock: Clock;
  readonly presence: Pick<Presence, 'heardAgoMs'>;
  readonly members: () => Iterable<string>;
  readonly setStale: (cluster: string, ms: number) => void;
}

/** Tells the fleet of every cluster's silence until the signal is aborted. */
export async function watchSilence(options: SilenceOptions, signal: AbortSignal): Promise<void> {
  const { clock, presence, members, setStale } = options;
  const started = clock.now();
  while (!signal.aborted) {
    for (const [cluster, ms] of judgeSilence(members(), presence, clock.now() - started)) setStale(cluster, ms);
    await clock.sleep(EVERY_MS, signal).catch(() => undefined);
  }
}
