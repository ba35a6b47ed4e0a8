/** @param share in 0..1. The nearest rank of a non-empty sample. */
export function percentile(sample: readonly number[], share: number): number {
  const sorted = [...sample].sort((a, b) => a - b);
  const rank = Math.max(0, Math.ceil(share * sorted.length) - 1);
  const value = sorted[rank];
  if (value === undefined) throw new RangeError('a percentile of nothing');
  return value;
}

export function median(sample: readonly number[]): number {
  return percentile(sample, 0.5);
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
