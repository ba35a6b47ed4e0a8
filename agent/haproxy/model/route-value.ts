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
 * All that a request needs of its route, as one value of path.map: `S|id|D|F1|F2|!`.
 * S: the one backend of a route that draws nothing; such a route is done with it as long as it lives.
 * id: the route's, for gateways and affinity.
 * D: where a bucket is drawn, `T1:B1:T2:B2:` with cumulative thresholds T and backends B. The last threshold is
 * always SHARE_UNITS, so a share whose target is not there goes to its neighbour.
 * F: fallbacks. A dead target's share falls to the next one, then to these, which begin with the targets
 * themselves, largest first. `!`: the mark of affinity.
 */
export function routeValue(
  id: string,
  targets: readonly SplitTarget[],
  fallbacks: readonly string[],
  affinity: boolean,
): string {
  const drawn = targets.filter(({ share }) => share > 0);
  // A client that comes back brings a bucket, and may be owed another backend than the only one drawn now.
  const straight = drawn.length === 1 && !affinity ? drawn[0]?.backend : undefined;
  let sum = 0;
  const draws = drawn.map(({ backend, share }, i) => {
    sum += share;
    return `${i === drawn.length - 1 ? SHARE_UNITS : sum}:${backend}:`;
  });
  const largestFirst = drawn.toSorted((a, b) => b.share - a.share).map(({ backend }) => backend);
  const rest = [...new Set([...(drawn.length > 1 ? largestFirst : []), ...fallbacks])]
    .filter((backend) => drawn.length !== 1 || backend !== drawn[0]?.backend)
    .slice(0, MAX_FALLBACKS);
  const fields = [straight ?? '', id, straight === undefined ? draws.join('') : '', ...rest];
  return `${fields.join('|')}${affinity ? '|!' : ''}`;
}
