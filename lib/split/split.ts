import { compare } from '../compare.ts';
import { shareByTiers, type TierOutcome } from './tiers.ts';
import { apportion } from './apportion.ts';
import { MAX_SHARES, SHARE_UNITS, type SplitInput, type SplitMemory, type SplitResult } from './types.ts';
import { type Grade, grades, usability, type Usability } from './usability.ts';

/**
 * Where new requests for one route go that enter at `input.self`. Pure and deterministic: the order of maps
 * does not matter. Without tiers the entry serves itself first, then the others in proportion to their ready
 * endpoints; with tiers only clusters that a tier gives a weight are ever used. No more than `MAX_SHARES` get
 * a share. Graded: fresh clusters, else stale ones that policy deweights, else cordoned ones, else nothing (503).
 */
export function splitRoute(input: SplitInput): SplitResult {
  const asked = askedClusters(input);
  const use = new Map<string, Usability>(asked.map((cluster) => [cluster, usability(input, cluster)]));
  const grade = grades.find((candidate) => asked.some((cluster) => use.get(cluster)?.grade === candidate));
  const usable = (cluster: string) => grade !== undefined && use.get(cluster)?.grade === grade;
  const tiers = input.traffic?.tiers ?? [];
  const outcome =
    tiers.length === 0
      ? localFirst(input, asked.filter(usable))
      : capShares(shareByTiers(tiers, usable, input.now, input.memory));

  const shares = [...outcome.shares]
    .map(([cluster, share]) => ({ cluster, share }))
    .sort((a, b) => b.share - a.share || compare(a.cluster, b.cluster));
  const sticky = stickiness(input, outcome.shares);
  return {
    shares,
    fallbacks: fallbacks(input, asked, use, shares),
    sticky: sticky.clusters,
    tier: outcome.tier,
    reasons: reasons(input, asked, use, grade, outcome),
    memory: {
      wellSince: outcome.wellSince,
      keeps: outcome.keeps,
      leftAt: sticky.leftAt,
      lastShares: outcome.shares,
    },
    recheckAt: earliest(outcome.recheckAt, sticky.recheckAt),
  };
}

/** Clusters that may get a share, each once, in order of preference for equal standing. */
function askedClusters({ self, ready, traffic }: SplitInput): string[] {
  const tiers = traffic?.tiers ?? [];
  if (tiers.length === 0) {
    const others = [...ready.keys()].filter((cluster) => cluster !== self);
    others.sort((a, b) => (ready.get(b) ?? 0) - (ready.get(a) ?? 0) || compare(a, b));
    return ready.has(self) ? [self, ...others] : others;
  }
  const ordered = tiers.flatMap((tier) =>
    tier.clusters
      .filter(({ weight }) => weight > 0)
      .toSorted((a, b) => b.weight - a.weight || compare(a.cluster, b.cluster))
      .map(({ cluster }) => cluster),
  );
  return [...new Set(ordered)];
}

function localFirst(input: SplitInput, usable: readonly string[]): TierOutcome {
  const base = { tier: 0, reasons: [], wellSince: [], keeps: [], recheckAt: undefined };
  if (usable.includes(input.self)) return { ...base, shares: new Map([[input.self, SHARE_UNITS]]) };
  if (usable.length === 0) return { ...base, shares: new Map() };
  // Most ready first; the others go on as fallbacks.
  const largest = usable.slice(0, MAX_SHARES);
  const parts = apportion(
    SHARE_UNITS,
    largest.map((cluster) => input.ready.get(cluster) ?? 0),
  );
  const shares = largest.map((cluster, index): [string, number] => [cluster, parts[index] ?? 0]);
  const left = usable.slice(MAX_SHARES).map((cluster) => `${cluster}: ${MAX_SHARES} others have more ready endpoints`);
  return { ...base, reasons: left, shares: new Map(shares.filter(([, part]) => part > 0)) };
}

/** The largest shares take those of the others, each in its proportion; the others go on as fallbacks. */
function capShares(outcome: TierOutcome): TierOutcome {
  if (outcome.shares.size <= MAX_SHARES) return outcome;
  const ordered = [...outcome.shares].sort(([a, x], [b, y]) => y - x || compare(a, b));
  const largest = ordered.slice(0, MAX_SHARES);
  const parts = apportion(
    SHARE_UNITS,
    largest.map(([, share]) => share),
  );
  return {
    ...outcome,
    shares: new Map(largest.map(([cluster], index) => [cluster, parts[index] ?? 0])),
    reasons: [
      ...outcome.reasons,
      ...ordered.slice(MAX_SHARES).map(([cluster]) => `${cluster}: ${MAX_SHARES} others have more weight`),
    ],
  };
}

/**
 * Best first; a cluster that has the whole split is left out, since it is what failed. The entry itself is named
 * last even with nothing ready: endpoints that terminate but still serve are better than nothing.
 */
function fallbacks(
  { self, ready }: SplitInput,
  asked: readonly string[],
  use: ReadonlyMap<string, Usability>,
  shares: SplitResult['shares'],
): string[] {
  const inSplit = shares.map(({ cluster }) => cluster);
  // One's own endpoints are nearest: among equals they come first.
  const order = [...inSplit.filter((c) => c === self), ...inSplit, ...asked];
  const graded = grades.flatMap((grade) => order.filter((cluster) => use.get(cluster)?.grade === grade));
  const only = inSplit.length === 1 ? inSplit[0] : undefined;
  if (asked.includes(self) && ready.has(self)) graded.push(self);
  return [...new Set(graded)].filter((cluster) => cluster !== only);
}

interface Stickiness {
  readonly clusters: readonly string[];
  readonly leftAt: SplitMemory['leftAt'];
  readonly recheckAt: number | undefined;
}

/** A returning client keeps its cluster while that is in the split, or left it less than `drain` ago and serves. */
function stickiness(input: SplitInput, shares: ReadonlyMap<string, number>): Stickiness {
  const { traffic, memory, now } = input;
  const leftAt = new Map<string, number>();
  if (traffic?.affinity === undefined) return { clusters: [], leftAt, recheckAt: undefined };
  const drain = Number(traffic.affinity.drainMs);
  const clusters = [...shares.keys()];
  let recheckAt: number | undefined;
  const gone = new Set([...(memory?.lastShares.keys() ?? []), ...(memory?.leftAt.keys() ?? [])]);
  for (const cluster of [...gone].sort(compare)) {
    const left = memory?.leftAt.get(cluster) ?? now;
    if (shares.has(cluster) || now - left >= drain) continue;
    leftAt.set(cluster, left);
    recheckAt = earliest(recheckAt, left + drain);
    if (usability(input, cluster).grade !== 'no') clusters.push(cluster);
  }
  return { clusters: clusters.sort(compare), leftAt, recheckAt };
}

function reasons(
  { self, ready, traffic }: SplitInput,
  asked: readonly string[],
  use: ReadonlyMap<string, Usability>,
  grade: Grade | undefined,
  outcome: TierOutcome,
): string[] {
  const local = (traffic?.tiers ?? []).length === 0;
  const lines: string[] = [];
  // Where the entry serves itself the others ask for nothing, so there is nothing to explain.
  if (!local || !outcome.shares.has(self) || grade !== 'fresh') {
    if (local && !ready.has(self)) lines.push(`${self}: does not offer the route`);
    for (const cluster of [...asked].sort(compare)) {
      const known = use.get(cluster);
      if (known !== undefined && known.grade !== 'fresh' && known.grade !== grade)
        lines.push(`${cluster}: ${known.why}`);
    }
  }
  lines.push(...outcome.reasons);
  if (grade === 'stale') lines.push('nothing fresh is usable: stale clusters serve');
  if (grade === 'cordoned') lines.push('nothing else is usable: cordoned clusters serve as a last resort');
  if (grade === undefined) lines.push('nothing usable');
  return lines;
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b);
}
