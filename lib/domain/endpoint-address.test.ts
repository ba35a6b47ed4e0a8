import { expect, test } from 'vitest';
import { forbiddenAddress, isLoopback } from './endpoint-address.ts';

test.each([
  '0.0.0.0',
  '0.1.2.3',
  '169.254.169.254',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  'fe80::1',
  'ff02::1',
  'fd00:ec2::254',
  'FD00:0EC2:0::0254',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '::ffff:0.0.0.0',
])('%s is for no endpoint', (address) => {
  expect(forbiddenAddress(address)).toBe('is unspecified, link-local or multicast');
});

test.each(['10.0.0.1', '127.0.0.1', '::1', 'fd00::1', '169.253.1.1', '::ffff:10.0.0.1'])('%s is for any', (address) => {
  expect(forbiddenAddress(address)).toBeUndefined();
});

test('loopback, in each spelling', () => {
  expect(['127.0.0.1', '127.9.9.9', '::1', '0:0::1', '::ffff:127.0.0.1'].map(isLoopback)).not.toContain(false);
  expect(['10.0.0.1', '::2'].map(isLoopback)).not.toContain(true);
});
