import { z } from 'zod';

const unit = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

const shape = 'must be a duration such as 30s, 10m or 1h30m';

/** "30s", "10m", "1h30m", "250ms" to milliseconds: Gateway API's duration (GEP-2257). */
export const duration = z
  .string(shape)
  .regex(/^([0-9]{1,5}(h|m|s|ms)){1,4}$/, shape)
  .transform(milliseconds);

/** A duration within bounds, both included, which are written as durations are. */
export function durationWithin(least: string, most: string): typeof duration {
  const [low, high] = [milliseconds(least), milliseconds(most)];
  return duration
    .refine((value) => value >= low && value <= high, `must be at least ${least} and at most ${most}`)
    .meta({ within: [least, most] });
}

function milliseconds(text: string): number {
  let total = 0;
  for (const [, amount, name] of text.matchAll(/([0-9]+)(h|ms|m|s)/g))
    total += Number(amount) * unit[name as keyof typeof unit];
  return total;
}
