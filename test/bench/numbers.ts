/** @param share in 0..1. The nearest rank of a non-empty sample. */
export function percentile(sample: readonly number[], share: number): number {
  const sorted = [...sample].sort((a, b) => a - b);
  const rank = Math.max(0, Math.ceil(share * sorted.length) - 1);
  const value = sorted[rank];
  if (value === undefined) throw new RangeError('a percentile of nothing');
  return value;
}

/** p50, p99 and the greatest, with one digit. */
export function spread(sample: readonly number[]): [p50: number, p99: number, most: number] {
  return [round(percentile(sample, 0.5), 1), round(percentile(sample, 0.99), 1), round(Math.max(...sample), 1)];
}

export function median(sample: readonly number[]): number {
  return percentile(sample, 0.5);
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
