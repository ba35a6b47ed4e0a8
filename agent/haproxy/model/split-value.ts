import { MAX_SHARES, SHARE_UNITS } from '../../../lib/split/types.ts';

/** Targets that one draw may choose from: each is one frontend rule. */
export const MAX_TARGETS = MAX_SHARES;
/** Backends tried in order when the drawn one has no live server; rules that only such requests meet. */
export const MAX_FALLBACKS = 16;

export interface SplitTarget {
  readonly backend: string;
  /** Of SHARE_UNITS. */
  readonly share: number;
}

/**
 * The value of split.map: `T1:B1:T2:B2:|F1|F2|!` with cumulative thresholds T, drawn backends B, fallbacks F and
 * the mark of affinity. The last threshold is always SHARE_UNITS, so a share whose target is not there
 * goes to its neighbour. A dead target's share falls to the next one, then to the fallbacks, which begin with the
 * targets themselves, largest first.
 * @returns undefined where there is nowhere to go.
 */
export function splitValue(
  targets: readonly SplitTarget[],
  fallbacks: readonly string[],
  affinity: boolean,
): string | undefined {
  const drawn = targets.filter(({ share }) => share > 0);
  let sum = 0;
  const draws = drawn.map(({ backend, share }, i) => {
    sum += share;
    return `${i === drawn.length - 1 ? SHARE_UNITS : sum}:${backend}:`;
  });
  const largestFirst = drawn.toSorted((a, b) => b.share - a.share).map(({ backend }) => backend);
  const rest = [...new Set([...(drawn.length > 1 ? largestFirst : []), ...fallbacks])]
    .filter((backend) => drawn.length !== 1 || backend !== drawn[0]?.backend)
    .slice(0, MAX_FALLBACKS);
  if (draws.length === 0 && rest.length === 0) return undefined;
  return `${draws.join('') || ':'}${rest.map((backend) => `|${backend}`).join('')}${affinity ? '|!' : ''}`;
}
