import { expect, test } from 'vitest';
import { ownListeners } from './own-listeners.ts';

const machine = () => ['10.0.0.7', 'fd00::7', 'fe80::1%eth0'];

test.each([
  ['127.0.0.1:8080', '127.0.0.1', true],
  ['127.0.0.1:8080', '::ffff:127.0.0.1', true],
  ['127.0.0.1:8080', '::ffff:7f00:1', true],
  ['127.0.0.1:8080', '127.0.0.2', false],
  ['127.0.0.1:8080', '10.0.0.7', false],
  ['0.0.0.0:8080', '10.0.0.7', true],
  ['0.0.0.0:8080', '127.9.9.9', true],
  ['0.0.0.0:8080', '::ffff:10.0.0.7', true],
  ['0.0.0.0:8080', 'fd00::7', false],
  ['0.0.0.0:8080', '10.0.0.8', false],
  [':8080', '10.0.0.7', true],
  ['[::]:8080', 'fd00:0::07', true],
  ['[::]:8080', '10.0.0.7', true],
  ['[::]:8080', '::1', true],
  ['[::]:8080', 'fd00::8', false],
  ['[fd00::7]:8080', 'fd00:0:0::7', true],
  ['localhost:8080', '127.0.0.1', true],
  ['gate.example:8080', '127.0.0.1', false],
])('what listens on %s has the address %s: %s', (listener, address, own) => {
  const of = ownListeners(new Map([['the http listener', listener]]), machine);
  expect(of(address, 8080)).toBe(own ? 'the http listener' : undefined);
  expect(of(address, 8081)).toBeUndefined();
});

test('a port that is not known yet is nobody’s', () => {
  expect(ownListeners(new Map([['ops', '127.0.0.1:0']]), machine)('127.0.0.1', 8080)).toBeUndefined();
});
