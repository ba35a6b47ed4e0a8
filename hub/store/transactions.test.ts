import { expect, test } from 'vitest';
import { transactionLimits } from './store.ts';
import { pack, type Unit } from './transactions.ts';

const unit = (operations: number, bytes = 1, conditions = 0): Unit => ({
  conditions: Array.from({ length: conditions }, (_, i) => ({ key: `c${i}`, modRevision: 0n })),
  operations: Array.from({ length: operations }, (_, i) => ({ kind: 'put', key: `k${i}`, value: Buffer.alloc(bytes) })),
});

const sizes = (units: Unit[]) => pack(units).map(({ operations }) => operations.length);

test('fills transactions up to each of the store’s limits, and tears no unit', () => {
  expect(sizes([])).toEqual([]);
  expect(sizes([unit(1), unit(2)])).toEqual([3]);
  expect(sizes([unit(100), unit(28), unit(1), unit(127), unit(2)])).toEqual([128, 128, 2]);
  expect(sizes([unit(1, transactionLimits.bytes - 10), unit(1, 10), unit(1, 1)])).toEqual([2, 1]);
  expect(sizes([unit(1, 1, 100), unit(1, 1, 28), unit(1, 1, 1)])).toEqual([2, 1]);
});
