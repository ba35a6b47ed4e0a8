import { expect, test } from 'vitest';
import { parseAddressRanges } from './address-range.ts';

test.each([
  ['10.0.0.0/8', ['10.0.0.0/8']],
  ['192.0.2.7', ['192.0.2.7/32']],
  ['fd00::/8, 2001:db8::1', ['fd00::/8', '2001:db8::1/128']],
])('reads %s', (text, ranges) => {
  expect(parseAddressRanges(text)).toEqual(ranges);
});

test.each([
  '',
  '10.0.0.0/33',
  '10.0.0/8',
  '::1/129',
  'fe80::1%eth0',
  '10.0.0.0/8/8',
  '10.0.0.0/',
  '10.0.0.0/x',
  'a b\n',
])('refuses %j', (text) => {
  expect(() => parseAddressRanges(text)).toThrow(/is no range of addresses/);
});

test.each(['0.0.0.0/0', '::/0'])('refuses %s, which would believe everybody', (text) => {
  expect(() => parseAddressRanges(text)).toThrow(/is every address/);
});
