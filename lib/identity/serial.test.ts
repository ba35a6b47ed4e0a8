import { expect, test } from 'vitest';
import { isBefore, momentOf, serialAt } from './serial.ts';

const at = (counter: bigint, revision: bigint) => ({ epoch: { counter }, revision });

test('a serial says when in the history of the store it was given', () => {
  for (const moment of [at(0n, 0n), at(1n, 1n), at(7n, 2n ** 63n)]) {
    const serial = serialAt(moment);
    expect(serial).toMatch(/^48[0-9a-f]{38}$/);
    expect(momentOf(serial.toUpperCase())).toEqual(moment);
    expect(serialAt(moment)).not.toBe(serial);
  }
  for (const serial of ['', '48', 'ab'.repeat(20), `${serialAt(at(1n, 1n))}0`])
    expect(momentOf(serial)).toBeUndefined();
  expect(isBefore(at(1n, 5n), at(1n, 6n))).toBe(true);
  expect(isBefore(at(1n, 6n), at(1n, 6n))).toBe(false);
  expect(isBefore(at(1n, 9n), at(2n, 1n))).toBe(true);
  expect(isBefore(at(2n, 1n), at(1n, 9n))).toBe(false);
});
