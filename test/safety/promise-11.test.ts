import { beforeAll, expect, test } from 'vitest';
import { testCa, type TestLeaf } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { figure } from './figure.ts';
import { fuzzBodies, fuzzManifests } from './injection.ts';
import { MARK } from './hostile-text.ts';

let leaf: TestLeaf;
beforeAll(async () => {
  leaf = await (await testCa()).leaf(`${MARK}.example`, ['*.example']);
});

test.each([
  ['manifests', 5_000, fuzzManifests],
  ['resource bodies', 45_000, fuzzBodies],
] as const)(
  'promise-11: hostile text in %s adds nothing to files or commands',
  (what, count, fuzz) => {
    const { cases, taken, faults } = fuzz(count, 11, leaf);
    figure(`promise-11: ${cases} hostile ${what}, ${taken} resources taken, ${faults.length} escapes`);
    expect(faults.slice(0, 20)).toEqual([]);
    expect(taken).toBeGreaterThan(0);
  },
  60_000,
);
