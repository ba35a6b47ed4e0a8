import { expect, test } from 'vitest';
import { median, percentile, round } from './numbers.ts';

test('percentiles are the nearest rank', () => {
  const sample = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(percentile(sample, 0.5)).toBe(50);
  expect(percentile(sample, 0.99)).toBe(99);
  expect(percentile(sample, 1)).toBe(100);
  expect(percentile([7], 0)).toBe(7);
  expect(median([3, 1, 2])).toBe(2);
  expect(() => median([])).toThrow('nothing');
});

test('rounds to digits', () => {
  expect(round(1.23456, 2)).toBe(1.23);
});
