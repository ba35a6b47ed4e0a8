import type { Tier } from '../../proto/gen/headgate/v1/configured.ts';
import { apportion } from './apportion.ts';
import { SHARE_UNITS, type SplitMemory } from './types.ts';

export interface TierOutcome {
  /** Units of SHARE_UNITS per cluster; only those above 0. Empty when no tier has a usable cluster. */
  readonly shares: ReadonlyMap<string, number>;
  /** Index of the first tier that got anything. */
  readonly tier: number;
  readonly reasons: readonly string[];
  readonly wellSince: readonly (number | undefined)[];
  readonly keeps: readonly number[];
  readonly recheckAt: number | undefined;
}

/**
 * Ordered tiers. A tier whose usable weight is at least `spillBelow` percent of its whole weight takes all
 * that reaches it. Below that it keeps usable ÷ whole and passes the rest on. Once left, what it keeps may only
 * fall until it has been well for `holdFor`, so a cluster that flaps does not drag traffic to and fro. The
 * last tier with a usable cluster takes what is left, held or not: holding must not cost an answer.
 */
export function shareByTiers(
  tiers: readonly Tier[],
  usable: (cluster: string) => boolean,
  now: number,
  memory: SplitMemory | undefined,
): TierOutcome {
  const reasons: string[] = [];
  const wellSince: (number | undefined)[] = [];
  const keeps: number[] = [];
  const usableClusters = tiers.map((tier) =>
    tier.clusters.filter(({ cluster, weight }) => weight > 0 && usable(cluster)),
  );
  const last = usableClusters.findLastIndex((clusters) => clusters.length > 0);
  const shares = new Map<string, number>();
  let remaining = SHARE_UNITS;
  let first: number | undefined;
  let recheckAt: number | undefined;

  for (const [index, tier] of tiers.entries()) {
    const clusters = usableClusters[index] ?? [];
    const whole = sum(tier.clusters);
    const standing = sum(clusters);
    const well = standing > 0 && standing * 100 >= tier.spillBelow * whole;
    const hold = Number(tier.holdForMs);
    const since = wellSinceNow(well, index, now, memory);
    const heldUntil =
      well && since !== undefined && since !== NEVER_LEFT && now - since < hold ? since + hold : undefined;
    // What a tier keeps of all that reaches it, in SHARE_UNITS; a tier never left keeps everything.
    const before = hold > 0 ? (memory?.keeps[index] ?? SHARE_UNITS) : SHARE_UNITS;
    const portion = whole === 0 ? 0 : Math.floor((standing * SHARE_UNITS) / whole);
    const keep = well && heldUntil === undefined ? SHARE_UNITS : Math.min(before, portion);
    wellSince.push(well && heldUntil === undefined ? NEVER_LEFT : since);
    keeps.push(keep);
    if (heldUntil !== undefined) recheckAt = Math.min(recheckAt ?? heldUntil, heldUntil);
    if (remaining === 0) continue;

    const taken = index === last ? remaining : Math.round((remaining * keep) / SHARE_UNITS);
    if (index < last) {
      if (heldUntil !== undefined) reasons.push(`tier ${index + 1}: held until it has been well for ${hold} ms`);
      else if (standing === 0) reasons.push(`tier ${index + 1}: nothing usable`);
      else if (!well)
        reasons.push(`tier ${index + 1}: ${percent(standing, whole)} % usable, below ${tier.spillBelow} %`);
    }
    if (taken === 0) continue;
    remaining -= taken;
    first ??= index;
    const parts = apportion(
      taken,
      clusters.map(({ weight }) => weight),
    );
    for (const [at, { cluster }] of clusters.entries()) {
      const part = parts[at] ?? 0;
      if (part > 0) shares.set(cluster, (shares.get(cluster) ?? 0) + part);
    }
  }
  return { shares, tier: first ?? 0, reasons, wellSince, keeps, recheckAt };
}

const NEVER_LEFT = 0;

function wellSinceNow(well: boolean, index: number, now: number, memory: SplitMemory | undefined): number | undefined {
  if (!well) return undefined;
  if (memory === undefined || index >= memory.wellSince.length) return NEVER_LEFT;
  // A clock that stands at 0 must not look like "never left".
  return memory.wellSince[index] ?? Math.max(now, Number.MIN_VALUE);
}

function sum(clusters: Tier['clusters']): number {
  return clusters.reduce((total, { weight }) => total + weight, 0);
}

function percent(part: number, whole: number): number {
  return Math.floor((part * 100) / whole);
}
