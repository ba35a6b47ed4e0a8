import { expect, test } from 'vitest';
import { boundAddress, formatAddress, parseAddress } from './address.ts';

test.each([
  ['127.0.0.1:7443', { host: '127.0.0.1', port: 7443 }],
  ['[::1]:0', { host: '::1', port: 0 }],
  ['hub.example:80', { host: 'hub.example', port: 80 }],
  [':8080', { host: '0.0.0.0', port: 8080 }],
])('reads %s', (text, address) => {
  expect(parseAddress(text)).toEqual(address);
  expect(parseAddress(formatAddress(address))).toEqual(address);
});

test.each(['', '7443', 'host', 'host:', 'host:99999', '::1:80', 'a b:1', 'http://x:1', 'x:1\n'])(
  'refuses %j',
  (text) => {
    expect(() => parseAddress(text)).toThrow(/is not HOST:PORT/);
  },
);

test('keeps the host that was asked for beside the port that was given', () => {
  const asked = { host: 'localhost', port: 0 };
  expect(boundAddress({ address: '127.0.0.1', family: 'IPv4', port: 7 }, asked)).toEqual({ ...asked, port: 7 });
});
