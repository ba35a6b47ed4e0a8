import { fullJitter, type Clock } from '../clock.ts';
import { HeadgateError } from '../errors.ts';
import type { Log } from '../log.ts';

export interface ReconnectOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** The first reconnect comes within this, uniformly, so that a fleet spreads out; default 3,000 ms. */
  readonly firstMs?: number;
  /** Base and cap of the full jitter after that; default 1,000 and 60,000 ms. */
  readonly baseMs?: number;
  readonly capMs?: number;
  /** A connection that lived this long was good, as one that `connect` calls so: back-off starts over; default 30,000 ms. */
  readonly goodMs?: number;
}

/**
 * Keeps one connection: runs `connect` with an address, waits, and runs it again with the next address after
 * a failure, or the same one after an end in order. Resolves when the signal aborts.
 *
 * @param connect runs one connection until it ends; rejects when it could not be made or broke. Calls `good` once it has
 *   been of use: a peer that was restarted is then tried again soon, and one that takes connections and ends them is not.
 */
export async function withReconnect(
  addresses: readonly string[],
  connect: (address: string, good: () => void) => Promise<void>,
  options: ReconnectOptions,
): Promise<void> {
  const { clock, log, signal, firstMs = 3_000, baseMs = 1_000, capMs = 60_000, goodMs = 30_000 } = options;
  let failures = 0;
  let next = 0;
  while (!signal.aborted) {
    const address = addresses[next % addresses.length] ?? '';
    const started = clock.now();
    let error: HeadgateError | undefined;
    let wasGood = false;
    try {
      await connect(address, () => (wasGood = true));
    } catch (thrown) {
      error = HeadgateError.from(thrown);
      next++;
    }
    if (signal.aborted) return;
    if (wasGood || clock.now() - started >= goodMs) failures = 0;
    const delay = failures === 0 ? clock.random() * firstMs : fullJitter(clock, failures, baseMs, capMs);
    failures++;
    log.warn('connection ended', { address, error, retry_ms: Math.round(delay) });
    try {
      await clock.sleep(delay, signal);
    } catch {
      return; // aborted
    }
  }
}
