import type { Clock } from '../lib/clock.ts';

/** The time between being asked to end and ending, in which others turn away from a node. */
export interface Drain {
  /** Aborts when it begins; never where there is no such time. */
  readonly begun: AbortSignal;
  /** Aborts when it is over; with the request itself where there is no such time. */
  readonly over: AbortSignal;
  /** There is something to turn away from. An agent that has not come so far ends when it is asked. */
  serves(): void;
}

/** @param ms how long it takes @param ended ends it early */
export function openDrain(
  asked: AbortSignal,
  { ms, clock, ended }: { readonly ms: number; readonly clock: Clock; readonly ended: AbortSignal },
): Drain {
  const [begun, over] = [new AbortController(), new AbortController()];
  let serving = false;
  const drain = async (): Promise<void> => {
    if (serving && ms > 0) {
      begun.abort();
      // Whatever cut it short, it is over.
      await clock.sleep(ms, ended).catch(() => undefined);
    }
    over.abort(asked.reason);
  };
  if (asked.aborted) over.abort(asked.reason);
  else asked.addEventListener('abort', () => void drain(), { once: true });
  return { begun: begun.signal, over: over.signal, serves: () => (serving = true) };
}
