import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ShardedMap } from './sharded-map.ts';

test('behaves as a Map through any edits, and older versions stay as they were', () => {
  const step = fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.boolean()), { maxLength: 200 });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 5 }), (steps) => {
      let map = ShardedMap.empty<number>();
      const model = new Map<string, number>();
      const versions: { map: ShardedMap<number>; model: Map<string, number> }[] = [];
      for (const [round, edits] of steps.entries()) {
        const draft = map.edit();
        for (const [key, put] of edits) {
          if (put) {
            draft.set(`k${key}`, round);
            model.set(`k${key}`, round);
          } else {
            draft.delete(`k${key}`);
            model.delete(`k${key}`);
          }
        }
        map = draft.done();
        versions.push({ map, model: new Map(model) });
      }
      for (const version of versions) {
        expect(version.map.size).toBe(version.model.size);
        expect(new Map(version.map)).toEqual(version.model);
        for (const [key, value] of version.model) expect(version.map.get(key)).toBe(value);
      }
    }),
    { numRuns: 30 },
  );
});
