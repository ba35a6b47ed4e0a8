import { expect, test } from 'vitest';
import { routeValue } from './route-value.ts';

const two = [
  { backend: 's0', share: 10_000 },
  { backend: 'p0', share: 90_000 },
];

test.each<[string, Parameters<typeof routeValue>, string]>([
  ['one target', ['id', [{ backend: 's0', share: 100_000 }], [], false], 's0|id|'],
  ['one target and fallbacks', ['id', [{ backend: 's0', share: 100_000 }], ['p0', 's0'], false], 's0|id||p0'],
  ['one target and affinity', ['id', [{ backend: 's0', share: 100_000 }], ['p0'], true], '|id|100000:s0:|p0|!'],
  [
    'several targets fall back on each other first, largest first',
    ['id', two, ['p1'], true],
    '|id|10000:s0:100000:p0:|p0|s0|p1|!',
  ],
  [
    'what is missing goes to the last target, and a share of 0 is no target',
    [
      'id',
      [
        { backend: 's0', share: 10_000 },
        { backend: 'p0', share: 0 },
        { backend: 'p1', share: 20_000 },
      ],
      [],
      false,
    ],
    '|id|10000:s0:100000:p1:|p1|s0',
  ],
  ['fallbacks alone', ['id', [], ['p0', 'p1'], false], '|id||p0|p1'],
  ['nowhere to go', ['id', [], [], false], '|id|'],
  ['nowhere to go, with affinity', ['id', [], [], true], '|id||!'],
])('%s', (_, args, value) => expect(routeValue(...args)).toBe(value));
