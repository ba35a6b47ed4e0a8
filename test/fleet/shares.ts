/** Weights by cluster, in any unit. */
export type Weights = Readonly<Record<string, number>>;

/** How far a count is from what its share asks, in standard deviations; Infinity where chance explains nothing. */
export function sigmas(seen: number, total: number, share: number): number {
  const off = Math.abs(seen - total * share);
  if (off < 1e-9) return 0;
  return off / Math.sqrt(total * share * (1 - share));
}

/** Share asked of a cluster, of 1. */
export function shareOf(asked: Weights, cluster: string): number {
  const sum = Object.values(asked).reduce((total, weight) => total + weight, 0);
  return sum === 0 ? 0 : (asked[cluster] ?? 0) / sum;
}

/** The first cluster that is farther than 4 σ from what is asked, in words; undefined where none is. */
export function farFrom(byCluster: ReadonlyMap<string, number>, asked: Weights): string | undefined {
  const total = [...byCluster.values()].reduce((sum, count) => sum + count, 0);
  for (const cluster of new Set([...Object.keys(asked), ...byCluster.keys()])) {
    const seen = byCluster.get(cluster) ?? 0;
    const share = shareOf(asked, cluster);
    if (sigmas(seen, total, share) > 4) {
      return `${cluster} answered ${seen} of ${total}, ${(100 * share).toFixed(2)} % asked`;
    }
  }
  return undefined;
}
