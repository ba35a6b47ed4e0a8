import { expect, test } from 'vitest';
import { splitValue } from './split-value.ts';

test.each<[string, Parameters<typeof splitValue>, string | undefined]>([
  ['one target', [[{ backend: 's0', share: 100_000 }], [], false], '100000:s0:'],
  ['one target and fallbacks', [[{ backend: 's0', share: 100_000 }], ['p0', 's0'], false], '100000:s0:|p0'],
  [
    'several targets fall back on each other first, largest first',
    [
      [
        { backend: 's0', share: 10_000 },
        { backend: 'p0', share: 90_000 },
      ],
      ['p1'],
      true,
    ],
    '10000:s0:100000:p0:|p0|s0|p1|!',
  ],
  [
    'what is missing goes to the last target, and a share of 0 is no target',
    [
      [
        { backend: 's0', share: 10_000 },
        { backend: 'p0', share: 0 },
        { backend: 'p1', share: 20_000 },
      ],
      [],
      false,
    ],
    '10000:s0:100000:p1:|p1|s0',
  ],
  ['fallbacks alone', [[], ['p0', 'p1'], false], ':|p0|p1'],
  ['nowhere to go', [[], [], true], undefined],
])('%s', (_, args, value) => expect(splitValue(...args)).toBe(value));
