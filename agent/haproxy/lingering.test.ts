import { expect, test } from 'vitest';
import { Lingering } from './lingering.ts';

test('what went within a few seconds is forgotten at once, half a minute later at the earliest', () => {
  const lingering = new Lingering();
  expect(lingering.dueAt).toBeUndefined();
  for (let i = 0; i < 100; i++) lingering.add([`r${i}`], 1 + i * 40);
  expect(lingering.dueAt).toBe(35_000);
  expect(lingering.take(34_999)).toEqual([]);
  expect(lingering.take(35_000)).toHaveLength(100);
  expect(lingering.dueAt).toBeUndefined();
});

test('a route that came back and went again counts from its last going', () => {
  const lingering = new Lingering();
  lingering.add(['a', 'b'], 0);
  lingering.add(['a'], 20_000);
  expect(lingering.take(30_000)).toEqual(['b']);
  expect(lingering.take(49_999)).toEqual([]);
  expect(lingering.take(50_000)).toEqual(['a']);
});
