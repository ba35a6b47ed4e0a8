/**
 * Divides whole units in proportion to whole weights by largest remainder: the parts sum to `units`, each is
 * within one of its exact part, and ties go to the first in the order given.
 * @param weights not negative; at least one above 0. units × sum of weights must stay below 2^53.
 */
export function apportion(units: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const parts = weights.map((weight) => Math.floor((units * weight) / sum));
  const missing = units - parts.reduce((total, part) => total + part, 0);
  const byRemainder = weights
    .map((weight, index) => ({ index, remainder: (units * weight) % sum }))
    .filter(({ remainder }) => remainder > 0)
    .sort((a, b) => b.remainder - a.remainder || a.index - b.index);
  for (const { index } of byRemainder.slice(0, missing)) parts[index] = (parts[index] ?? 0) + 1;
  return parts;
}
