import { expect, test } from 'vitest';
import { systemClock } from '../clock.ts';
import { Nonces } from './nonces.ts';

test('a nonce is good once, for its connection, for a minute', () => {
  let now = 5;
  const nonces = new Nonces({ ...systemClock, now: () => now });
  const nonce = nonces.issue('10.0.0.1:1000');
  expect(nonces.isFresh(nonce, '10.0.0.1:1000')).toBe(true);
  expect(nonces.isFresh(nonce, '10.0.0.1:1001')).toBe(false);
  expect(nonces.isFresh(nonce.subarray(1), '10.0.0.1:1000')).toBe(false);
  const later = Buffer.from(nonce);
  later.writeDoubleBE(now + 10_000);
  expect(nonces.isFresh(later, '10.0.0.1:1000')).toBe(false);
  expect(new Nonces(systemClock).isFresh(nonce, '10.0.0.1:1000')).toBe(false);

  expect(nonces.use(nonce)).toBe(true);
  expect(nonces.use(nonce)).toBe(false);
  expect(nonces.isFresh(nonce, '10.0.0.1:1000')).toBe(false);

  const other = nonces.issue('10.0.0.1:1000');
  now += 60_001;
  expect(nonces.isFresh(other, '10.0.0.1:1000')).toBe(false);
  expect(nonces.isFresh(nonce, '10.0.0.1:1000')).toBe(false);
});
