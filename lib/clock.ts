import { setTimeout as sleep } from 'node:timers/promises';

/** Where time and randomness come in; tests pass their own. */
export interface Clock {
  /** Milliseconds since the Unix epoch: for display and certificates only, never for ordering. */
  wall(): number;
  /** Milliseconds from an arbitrary start; never goes backwards. */
  now(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Uniform in [0, 1). */
  random(): number;
}

export const systemClock: Clock = {
  wall: () => Date.now(),
  now: () => performance.now(),
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  },
  random: () => Math.random(),
};

/** Full jitter: uniform between 0 and min(cap, base · 2^attempt), in milliseconds. */
export function fullJitter(clock: Clock, attempt: number, base = 1_000, cap = 60_000): number {
  return clock.random() * Math.min(cap, base * 2 ** attempt);
}
