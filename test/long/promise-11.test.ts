import { beforeAll, expect, test } from 'vitest';
import { testCa, type TestLeaf } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { figure } from '../safety/figure.ts';
import { MARK } from '../safety/hostile-text.ts';
import { fuzzBodies, fuzzManifests } from '../safety/injection.ts';

let leaf: TestLeaf;
beforeAll(async () => {
  leaf = await (await testCa()).leaf(`${MARK}.example`, ['*.example']);
});

test.each([
  ['manifests', 200_000, fuzzManifests],
  ['resource bodies', 800_000, fuzzBodies],
] as const)(
  'promise-11: hostile text in %s adds nothing to files or commands, a million cases',
  (what, count, fuzz) => {
    const seed = Date.now() % 1_000_000_000;
    const { cases, taken, faults } = fuzz(count, seed, leaf);
    figure(
      `promise-11: ${cases} hostile ${what} from seed ${seed}, ${taken} resources taken, ${faults.length} escapes`,
    );
    expect(faults.slice(0, 20)).toEqual([]);
    expect(taken).toBeGreaterThan(0);
  },
);
