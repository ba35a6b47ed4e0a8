import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { StaleAction } from '../../proto/gen/headgate/v1/configured.ts';
import { apportion } from './apportion.ts';
import { splitRoute } from './split.ts';
import { SHARE_UNITS, type SplitInput } from './types.ts';
import { usability } from './usability.ts';

const names = ['a', 'b', 'c', 'd', 'e'];
const cluster = fc.constantFrom(...names);
const tier = fc.record({
  clusters: fc.uniqueArray(fc.record({ cluster, weight: fc.integer({ min: 0, max: 1_000_000 }) }), {
    selector: (entry) => entry.cluster,
    maxLength: 5,
  }),
  spillBelow: fc.integer({ min: 0, max: 100 }),
  holdForMs: fc.constantFrom(0n, 10n, 60_000n),
});
const traffic = fc.option(
  fc.record({
    tiers: fc.array(tier, { maxLength: 3 }),
    exposure: fc.constant(1 as const),
    onStale: fc.option(
      fc.record({
        afterMs: fc.constantFrom(0n, 50n),
        action: fc.constantFrom(StaleAction.KEEP, StaleAction.DEWEIGHT, StaleAction.DROP),
      }),
      { nil: undefined },
    ),
    affinity: fc.option(fc.record({ drainMs: fc.constantFrom(0n, 100n) }), { nil: undefined }),
  }),
  { nil: undefined },
);
const ready = fc
  .uniqueArray(fc.tuple(cluster, fc.integer({ min: 0, max: 50 })), { selector: ([name]) => name })
  .map((entries) => new Map(entries));
const conditions = fc
  .uniqueArray(
    fc.tuple(cluster, fc.record({ cordoned: fc.boolean(), staleMs: fc.constantFrom(0, 60), reachable: fc.boolean() })),
    { selector: ([name]) => name, minLength: 3 },
  )
  .map((entries) => new Map(entries));
const input: fc.Arbitrary<SplitInput> = fc.record({
  self: fc.constant('a'),
  ready,
  traffic,
  clusters: conditions,
  now: fc.integer({ min: 0, max: 1_000 }),
  memory: fc.constant(undefined),
});

/** The same route at three moments, memory handed on as a caller does. */
const history = fc.tuple(input, input, input).map((steps) => {
  let memory: SplitInput['memory'];
  let now = 0;
  return steps.map((step) => {
    now += step.now;
    const full = { ...step, now, memory };
    const result = splitRoute(full);
    memory = result.memory;
    return { input: full, result };
  });
});

function share(given: SplitInput, name: string): number {
  return splitRoute(given).shares.find((entry) => entry.cluster === name)?.share ?? 0;
}

test('shares sum to 100,000, or there are none; ordered, whole, each cluster once', () => {
  fc.assert(
    fc.property(history, (steps) => {
      for (const { result } of steps) {
        const total = result.shares.reduce((sum, { share }) => sum + share, 0);
        expect(total).toBe(result.shares.length === 0 ? 0 : SHARE_UNITS);
        expect(new Set(result.shares.map((share) => share.cluster)).size).toBe(result.shares.length);
        for (const entry of result.shares) expect(Number.isInteger(entry.share) && entry.share > 0).toBe(true);
        const sorted = result.shares.toSorted((x, y) => y.share - x.share || (x.cluster < y.cluster ? -1 : 1));
        expect(result.shares).toEqual(sorted);
      }
    }),
  );
});

test('no unusable cluster is used while a usable one is asked; none is ever used that cannot serve', () => {
  fc.assert(
    fc.property(history, (steps) => {
      for (const { input, result } of steps) {
        const tiers = input.traffic?.tiers ?? [];
        const asked =
          tiers.length === 0
            ? names
            : tiers.flatMap((t) => t.clusters.filter((entry) => entry.weight > 0).map((entry) => entry.cluster));
        const grade = (name: string) => usability(input, name).grade;
        const best = ['fresh', 'stale', 'cordoned'].find((g) => asked.some((name) => grade(name) === g));
        for (const { cluster } of result.shares) expect(grade(cluster)).toBe(best);
        for (const name of result.sticky) expect(grade(name)).not.toBe('no');
        // The entry itself is named last with nothing ready, for endpoints that terminate.
        const own = result.fallbacks.at(-1) === input.self && input.ready.has(input.self);
        for (const name of own ? result.fallbacks.slice(0, -1) : result.fallbacks) expect(grade(name)).not.toBe('no');
        expect(result.shares.length > 0).toBe(best !== undefined);
        for (const { cluster } of result.shares) expect(asked).toContain(cluster);
        for (const name of result.fallbacks) expect(asked).toContain(name);
      }
    }),
  );
});

test('the order of maps does not matter', () => {
  fc.assert(
    fc.property(input, (given) => {
      const turned = {
        ...given,
        ready: new Map([...given.ready].toReversed()),
        clusters: new Map([...given.clusters].toReversed()),
      };
      expect(splitRoute(turned)).toEqual(splitRoute(given));
    }),
  );
});

test('asking again at the moment it names, and not before, is all that time needs', () => {
  fc.assert(
    fc.property(history, (steps) => {
      const last = steps.at(-1);
      if (last === undefined) return;
      const until = last.result.recheckAt ?? last.input.now + 1_000_000;
      expect(until).toBeGreaterThan(last.input.now);
      const later = splitRoute({ ...last.input, now: Math.ceil(until) - 1, memory: last.result.memory });
      expect(later.shares).toEqual(last.result.shares);
      expect(later.sticky).toEqual(last.result.sticky);
    }),
  );
});

test('more ready endpoints or more weight never lowers a share', () => {
  fc.assert(
    fc.property(input, cluster, (given, name) => {
      const more = { ...given, ready: new Map(given.ready).set(name, (given.ready.get(name) ?? 0) + 7) };
      // One unit of rounding between tiers.
      expect(share(more, name)).toBeGreaterThanOrEqual(share(given, name) - 1);
    }),
  );
  fc.assert(
    fc.property(
      ready,
      fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 5, maxLength: 5 }),
      (counts, weights) => {
        const at = (weight: number): SplitInput => ({
          self: 'a',
          ready: counts,
          clusters: new Map(names.map((name) => [name, { cordoned: false, staleMs: 0, reachable: true }])),
          traffic: {
            tiers: [
              {
                clusters: names.map((name, i) => ({
                  cluster: name,
                  weight: name === 'b' ? weight : (weights[i] ?? 1),
                })),
                spillBelow: 0,
                holdForMs: 0n,
              },
            ],
            exposure: 1,
            onStale: undefined,
            affinity: undefined,
          },
          now: 0,
          memory: undefined,
        });
        expect(share(at(60), 'b')).toBeGreaterThanOrEqual(share(at(50), 'b'));
      },
    ),
  );
});

test('apportion: parts sum to the whole and are within one of exact', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: SHARE_UNITS }),
      fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 1, maxLength: 50 }),
      (units, weights) => {
        const sum = weights.reduce((a, b) => a + b, 0);
        fc.pre(sum > 0);
        const parts = apportion(units, weights);
        expect(parts.reduce((a, b) => a + b, 0)).toBe(units);
        for (const [i, part] of parts.entries())
          expect(Math.abs(part - (units * (weights[i] ?? 0)) / sum)).toBeLessThan(1);
      },
    ),
  );
});
