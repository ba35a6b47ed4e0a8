import { describe, expect, test } from 'vitest';
import { type OnStale, StaleAction, type Tier, type Traffic } from '../../proto/gen/headgate/v1/configured.ts';
import { splitRoute } from './split.ts';
import type { ClusterCondition, SplitInput, SplitMemory, SplitResult } from './types.ts';

interface Case {
  ready: Record<string, number>;
  tiers?: (
    | Record<string, number>
    | [weights: Record<string, number>, rules: { spillBelow?: number; holdFor?: number }]
  )[];
  cordoned?: string[];
  unreachable?: string[];
  unknown?: string[];
  stale?: Record<string, number>;
  onStale?: OnStale;
  drain?: number;
  now?: number;
  memory?: SplitMemory;
  self?: string;
}

function tierOf(given: NonNullable<Case['tiers']>[number]): Tier {
  const [weights, rules] = Array.isArray(given) ? given : [given, {}];
  return {
    clusters: Object.entries(weights).map(([cluster, weight]) => ({ cluster, weight })),
    spillBelow: rules.spillBelow ?? 0,
    holdForMs: BigInt(rules.holdFor ?? 0),
  };
}

function on(action: StaleAction): OnStale {
  return { afterMs: 60_000n, action };
}

function run(given: Case): SplitResult {
  const traffic: Traffic = {
    tiers: (given.tiers ?? []).map(tierOf),
    exposure: 1,
    onStale: given.onStale,
    affinity: given.drain === undefined ? undefined : { drainMs: BigInt(given.drain) },
  };
  const clusters = new Map<string, ClusterCondition>();
  for (const cluster of new Set(['eu', 'us', 'ap', ...Object.keys(given.ready)])) {
    if (given.unknown?.includes(cluster) === true) continue;
    clusters.set(cluster, {
      cordoned: given.cordoned?.includes(cluster) ?? false,
      staleMs: given.stale?.[cluster] ?? 0,
      reachable: !(given.unreachable?.includes(cluster) ?? false),
    });
  }
  const input: SplitInput = {
    self: given.self ?? 'eu',
    ready: new Map(Object.entries(given.ready)),
    traffic,
    clusters,
    now: given.now ?? 1_000,
    memory: given.memory,
  };
  return splitRoute(input);
}

const shares = (result: SplitResult) => Object.fromEntries(result.shares.map(({ cluster, share }) => [cluster, share]));

describe('without tiers', () => {
  test.each<[string, Case, Record<string, number>, string[]]>([
    ['the entry serves itself', { ready: { eu: 1, us: 9 } }, { eu: 100_000 }, []],
    [
      'an entry without endpoints spills by ready counts',
      { ready: { eu: 0, us: 3, ap: 1 } },
      { us: 75_000, ap: 25_000 },
      ['eu: no ready endpoint'],
    ],
    [
      'an entry that does not offer the route passes it on',
      { ready: { us: 1 } },
      { us: 100_000 },
      ['eu: does not offer the route'],
    ],
    ['a cordoned entry passes on', { ready: { eu: 5, us: 1 }, cordoned: ['eu'] }, { us: 100_000 }, ['eu: cordoned']],
    [
      'an unreachable cluster gets nothing',
      { ready: { eu: 0, us: 1, ap: 1 }, unreachable: ['us'] },
      { ap: 100_000 },
      ['eu: no ready endpoint', 'us: gateway not reachable'],
    ],
    ['the entry is always reachable', { ready: { eu: 1 }, unreachable: ['eu'] }, { eu: 100_000 }, []],
    [
      'the entry is never stale to itself',
      { ready: { eu: 1 }, stale: { eu: 9e9 }, onStale: { afterMs: 1n, action: StaleAction.DROP } },
      { eu: 100_000 },
      [],
    ],
    [
      'cordoned clusters are the last resort',
      { ready: { eu: 0, us: 2 }, cordoned: ['us'] },
      { us: 100_000 },
      ['eu: no ready endpoint', 'nothing else is usable: cordoned clusters serve as a last resort'],
    ],
    [
      'nothing at all',
      { ready: { eu: 0, us: 0 } },
      {},
      ['eu: no ready endpoint', 'us: no ready endpoint', 'nothing usable'],
    ],
    [
      'a cluster that is not known is never used',
      { ready: { us: 1 }, unknown: ['us'] },
      {},
      ['eu: does not offer the route', 'us: not known here', 'nothing usable'],
    ],
    ['shares sum exactly', { ready: { eu: 0, us: 1, ap: 2 } }, { us: 33_333, ap: 66_667 }, ['eu: no ready endpoint']],
  ])('%s', (_, given, expected, why) => {
    const result = run(given);
    expect(shares(result)).toEqual(expected);
    expect(result.reasons).toEqual(why);
  });

  test('at most eight share a spill, those with most ready; the others are fallbacks', () => {
    const many = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`c${index}`, index + 1]));
    const { shares: shared, fallbacks, reasons } = run({ ready: { eu: 0, ...many } });
    expect(shared.map(({ cluster }) => cluster)).toEqual(['c9', 'c8', 'c7', 'c6', 'c5', 'c4', 'c3', 'c2']);
    expect(shared.reduce((sum, { share }) => sum + share, 0)).toBe(100_000);
    expect(fallbacks).toContain('c0');
    expect(reasons).toEqual([
      'eu: no ready endpoint',
      'c1: 8 others have more ready endpoints',
      'c0: 8 others have more ready endpoints',
    ]);
  });

  test('at most eight share tiers, those with the largest shares; the others are fallbacks', () => {
    const many = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`c${index}`, index + 1]));
    const given = { ready: { ...many, z: 1 }, tiers: [[many, { spillBelow: 100 }] as [typeof many, object], { z: 1 }] };
    const { shares: shared, fallbacks, reasons, sticky } = run({ ...given, drain: 1_000 });
    expect(shared.map(({ cluster }) => cluster)).toEqual(['c9', 'c8', 'c7', 'c6', 'c5', 'c4', 'c3', 'c2']);
    expect(shared[0]?.share).toBe(Math.round((100_000 * 10) / 52));
    expect(shared.reduce((sum, { share }) => sum + share, 0)).toBe(100_000);
    expect(fallbacks).toEqual(expect.arrayContaining(['c0', 'c1', 'z']));
    expect(sticky).not.toContain('c0');
    expect(reasons).toEqual(['c1: 8 others have more weight', 'c0: 8 others have more weight']);
    // A tier that is left in part gives the rest to the next: both together keep to the limit.
    const spilt = run({ ...given, unreachable: ['c1', 'c2'] });
    expect(spilt.shares).toHaveLength(8);
    expect(spilt.reasons).toContain('c0: 8 others have more weight');
  });

  test('fallbacks: usable by ready count, then cordoned; not the one that has everything', () => {
    expect(run({ ready: { eu: 1, us: 1, ap: 7 } }).fallbacks).toEqual(['ap', 'us']);
    expect(run({ ready: { eu: 1, us: 1, ap: 7 }, cordoned: ['ap'] }).fallbacks).toEqual(['us', 'ap']);
    expect(run({ ready: { us: 1, ap: 7 } }).fallbacks).toEqual(['ap', 'us']);
    // Own endpoints that terminate may still serve.
    expect(run({ ready: { eu: 0, us: 1, ap: 7 } }).fallbacks).toEqual(['ap', 'us', 'eu']);
    expect(run({ ready: { eu: 0 } })).toMatchObject({ shares: [], fallbacks: ['eu'] });
    expect(run({ ready: { eu: 1, us: 0, ap: 7 }, unreachable: ['ap'] }).fallbacks).toEqual([]);
  });
});

describe('tiers', () => {
  const all = { eu: 1, us: 1, ap: 1 };
  test.each<[string, Case, Record<string, number>, number]>([
    ['weights are exact', { ready: all, tiers: [{ eu: 90, us: 10 }] }, { eu: 90_000, us: 10_000 }, 0],
    ['0.1 %', { ready: all, tiers: [{ eu: 999, us: 1 }] }, { eu: 99_900, us: 100 }, 0],
    ['thirds', { ready: all, tiers: [{ eu: 1, us: 1, ap: 1 }] }, { eu: 33_334, us: 33_333, ap: 33_333 }, 0],
    [
      'one unusable: the tier keeps all by default',
      { ready: { ...all, eu: 0 }, tiers: [{ eu: 90, us: 10 }, { ap: 1 }] },
      { us: 100_000 },
      0,
    ],
    ['nothing usable: the next tier', { ready: { ap: 1 }, tiers: [{ eu: 90, us: 10 }, { ap: 1 }] }, { ap: 100_000 }, 1],
    [
      'below spillBelow the missing share goes on',
      { ready: { ...all, us: 0 }, tiers: [[{ eu: 60, us: 40 }, { spillBelow: 70 }], { ap: 1 }] },
      { eu: 60_000, ap: 40_000 },
      0,
    ],
    [
      'at spillBelow it stays',
      { ready: { ...all, us: 0 }, tiers: [[{ eu: 70, us: 30 }, { spillBelow: 70 }], { ap: 1 }] },
      { eu: 100_000 },
      0,
    ],
    [
      'the last tier takes what is left',
      { ready: { ...all, us: 0 }, tiers: [[{ eu: 10, us: 90 }, { spillBelow: 100 }]] },
      { eu: 100_000 },
      0,
    ],
    [
      'the last usable tier takes what is left',
      { ready: { eu: 1 }, tiers: [[{ eu: 10, us: 90 }, { spillBelow: 100 }], { ap: 1 }] },
      { eu: 100_000 },
      0,
    ],
    ['a cluster no tier names gets nothing', { ready: all, tiers: [{ us: 1 }] }, { us: 100_000 }, 0],
    ['a weight of 0 gets nothing', { ready: { eu: 1 }, tiers: [{ us: 1, eu: 0 }] }, {}, 0],
    [
      'cordoned: last resort by tiers',
      { ready: all, tiers: [{ us: 1 }, { ap: 1 }], cordoned: ['us', 'ap'] },
      { us: 100_000 },
      0,
    ],
  ])('%s', (_, given, expected, tier) => {
    const result = run(given);
    expect(shares(result)).toEqual(expected);
    expect(result.tier).toBe(tier);
  });

  test('reasons name the tier and what is missing', () => {
    const result = run({
      ready: { ...all, us: 0 },
      tiers: [[{ eu: 60, us: 40 }, { spillBelow: 70 }], { ap: 1 }],
    });
    expect(result.reasons).toEqual(['us: no ready endpoint', 'tier 1: 60 % usable, below 70 %']);
  });

  test('fallbacks follow the tiers and never leave them', () => {
    const result = run({ ready: { eu: 1, us: 1, ap: 1 }, tiers: [{ eu: 60, us: 40 }] });
    expect(result.fallbacks).toEqual(['eu', 'us']);
  });
});

describe('stale clusters', () => {
  const base: Case = { ready: { us: 1, ap: 1 }, stale: { us: 60_000 }, tiers: [{ us: 1, ap: 1 }] };
  test.each<[string, Case, Record<string, number>]>([
    ['Keep', { ...base, onStale: on(StaleAction.KEEP) }, { us: 50_000, ap: 50_000 }],
    ['not yet stale', { ...base, stale: { us: 59_999 }, onStale: on(StaleAction.DROP) }, { us: 50_000, ap: 50_000 }],
    ['Deweight', { ...base, onStale: on(StaleAction.DEWEIGHT) }, { ap: 100_000 }],
    [
      'Deweight: used when nothing fresh is',
      { ...base, ready: { us: 1 }, onStale: on(StaleAction.DEWEIGHT) },
      { us: 100_000 },
    ],
    ['Drop', { ...base, onStale: on(StaleAction.DROP) }, { ap: 100_000 }],
    ['Drop: never used', { ...base, ready: { us: 1 }, onStale: on(StaleAction.DROP) }, {}],
    ['stale comes before cordoned', { ...base, cordoned: ['ap'], onStale: on(StaleAction.DEWEIGHT) }, { us: 100_000 }],
  ])('%s', (_, given, expected) => expect(shares(run(given))).toEqual(expected));
});

describe('holdFor', () => {
  const tiers: Case['tiers'] = [[{ us: 1 }, { holdFor: 60_000 }], { ap: 1 }];
  const at = (now: number, us: number, memory: SplitMemory | undefined) =>
    run({ ready: { us, ap: 1 }, tiers, now, ...(memory === undefined ? {} : { memory }) });

  test('a tier that was left is used again after it has been well that long', () => {
    let step = at(0, 1, undefined);
    expect(shares(step)).toEqual({ us: 100_000 });
    step = at(1_000, 0, step.memory);
    expect(shares(step)).toEqual({ ap: 100_000 });
    expect(step.recheckAt).toBeUndefined();
    step = at(2_000, 1, step.memory);
    expect(shares(step)).toEqual({ ap: 100_000 });
    expect(step.recheckAt).toBe(62_000);
    expect(step.reasons).toEqual(['tier 1: held until it has been well for 60000 ms']);
    step = at(61_999, 1, step.memory);
    expect(shares(step)).toEqual({ ap: 100_000 });
    step = at(62_000, 1, step.memory);
    expect(shares(step)).toEqual({ us: 100_000 });
    expect(step.recheckAt).toBeUndefined();
  });

  test('a relapse starts the wait again', () => {
    let step = at(1_000, 0, undefined);
    step = at(2_000, 1, step.memory);
    step = at(50_000, 0, step.memory);
    step = at(51_000, 1, step.memory);
    expect(step.recheckAt).toBe(111_000);
  });

  test('holding costs no answer: the last usable tier serves', () => {
    const left = at(1_000, 0, undefined);
    const step = run({ ready: { us: 1, ap: 0 }, tiers, now: 2_000, memory: left.memory });
    expect(shares(step)).toEqual({ us: 100_000 });
  });

  test('a tier that fell below spillBelow keeps what it kept while it recovers', () => {
    const partial: Case['tiers'] = [
      [
        { eu: 50, us: 50 },
        { spillBelow: 70, holdFor: 60_000 },
      ],
      { ap: 1 },
    ];
    let step = run({ ready: { eu: 1, us: 0, ap: 1 }, tiers: partial, now: 1_000 });
    expect(shares(step)).toEqual({ eu: 50_000, ap: 50_000 });
    step = run({ ready: { eu: 1, us: 1, ap: 1 }, tiers: partial, now: 2_000, memory: step.memory });
    expect(shares(step)).toEqual({ eu: 25_000, us: 25_000, ap: 50_000 });
    step = run({ ready: { eu: 1, us: 1, ap: 1 }, tiers: partial, now: 62_000, memory: step.memory });
    expect(shares(step)).toEqual({ eu: 50_000, us: 50_000 });
  });
});

describe('affinity', () => {
  const ready = { eu: 1, us: 1 };
  test('a cluster that left the split keeps its clients for the drain, while it serves', () => {
    let step = run({ ready, tiers: [{ eu: 50, us: 50 }], drain: 10_000, now: 0 });
    expect(step.sticky).toEqual(['eu', 'us']);
    step = run({ ready, tiers: [{ eu: 1 }], drain: 10_000, now: 5_000, memory: step.memory });
    expect(step.sticky).toEqual(['eu', 'us']);
    expect(step.recheckAt).toBe(15_000);
    const down = run({ ready: { eu: 1, us: 0 }, tiers: [{ eu: 1 }], drain: 10_000, now: 6_000, memory: step.memory });
    expect(down.sticky).toEqual(['eu']);
    const back = run({ ready, tiers: [{ eu: 1 }], drain: 10_000, now: 7_000, memory: down.memory });
    expect(back.sticky).toEqual(['eu', 'us']);
    step = run({ ready, tiers: [{ eu: 1 }], drain: 10_000, now: 15_000, memory: back.memory });
    expect(step.sticky).toEqual(['eu']);
    expect(step.recheckAt).toBeUndefined();
  });

  test('a cordoned cluster drains too', () => {
    const before = run({ ready, drain: 10_000, now: 0 });
    const after = run({ ready, drain: 10_000, now: 1, cordoned: ['eu'], memory: before.memory });
    expect(shares(after)).toEqual({ us: 100_000 });
    expect(after.sticky).toEqual(['eu', 'us']);
  });

  test('without affinity nothing is sticky', () => expect(run({ ready }).sticky).toEqual([]));
});
