import { array, assert, asyncProperty, boolean } from 'fast-check';
import { expect, test } from 'vitest';
import { resource } from '../../lib/sync/index.ts';
import { findCulprits } from './culprits.ts';

test('every resource that is refused alone is found, with the words for it alone', async () => {
  await assert(
    asyncProperty(array(boolean(), { maxLength: 200 }), async (bad) => {
      const all = bad.map((_, i) => resource('host', String(i), Buffer.of()));
      let asked = 0;
      const found = await findCulprits(all, (some) => {
        asked++;
        const refused = some.filter(({ name }) => bad[Number(name)] === true);
        return Promise.resolve(refused.length === 0 ? undefined : refused.map(({ name }) => name).join(' '));
      });
      const wanted = all.filter((_, i) => bad[i] === true);
      expect(new Set(found.keys())).toEqual(new Set(wanted));
      for (const [{ name }, words] of found) expect(words).toBe(name);
      // Each is asked about once at every level.
      expect(asked).toBeLessThanOrEqual(1 + 2 * wanted.length * Math.ceil(Math.log2(Math.max(1, all.length))));
    }),
  );
});

test('what is refused only together is not found', async () => {
  const all = ['a', 'b'].map((name) => resource('host', name, Buffer.of()));
  expect((await findCulprits(all, (some) => Promise.resolve(some.length > 1 ? 'both' : undefined))).size).toBe(0);
});
