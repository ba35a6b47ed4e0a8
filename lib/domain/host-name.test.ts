import { describe, expect, test } from 'vitest';
import { claimCovers, claimPatterns, hostMatches, requestHost, validHost, wildcardOf } from './host-name.ts';

describe('validHost', () => {
  test.each(['a', 'shop.example', '*.shop.example', 'xn--bcher-kva.example', '1.2.3.4', `${'a'.repeat(63)}.b`])(
    'takes %s',
    (host) => expect(validHost(host)).toBe(true),
  );
  test.each([
    '',
    '*',
    '*.',
    'Shop.example',
    'a..b',
    '-a.b',
    'a-.b',
    'a b',
    'a.*.b',
    '*a.b',
    'a.b.',
    `${'a'.repeat(64)}.b`,
    `a\n`,
    'a:80',
    'a.'.repeat(127),
  ])('refuses %j', (host) => expect(validHost(host)).toBe(false));
});

test.each([
  ['Shop.Example', 'shop.example'],
  ['shop.example:8443', 'shop.example'],
  ['shop.example.', 'shop.example'],
  ['shop.example.:80', 'shop.example'],
  ['[::1]:80', undefined],
  ['', undefined],
  ['a/b', undefined],
  ['my_shop.example', 'my_shop.example'],
  ['.example', undefined],
])('requestHost of %j is %j', (authority, host) => expect(requestHost(authority)).toBe(host));

test('a wildcard covers exactly one label', () => {
  expect(wildcardOf('a.b.c')).toBe('*.b.c');
  expect(wildcardOf('a')).toBeUndefined();
  expect(hostMatches('*.b.c', 'a.b.c')).toBe(true);
  expect(hostMatches('*.b.c', 'x.a.b.c')).toBe(false);
  expect(hostMatches('*.b.c', 'b.c')).toBe(false);
  expect(hostMatches('a.b', 'a.b')).toBe(true);
});

test('a claim on a wildcard covers everything under it, most specific pattern first', () => {
  expect(claimCovers('*.b.c', 'x.a.b.c')).toBe(true);
  expect(claimCovers('*.b.c', '*.a.b.c')).toBe(true);
  expect(claimCovers('*.b.c', 'b.c')).toBe(false);
  expect(claimCovers('*.b.c', 'xb.c')).toBe(false);
  expect(claimPatterns('x.a.b')).toEqual(['x.a.b', '*.a.b', '*.b']);
  expect(claimPatterns('*.a.b')).toEqual(['*.a.b', '*.b']);
  for (const pattern of claimPatterns('x.a.b')) expect(claimCovers(pattern, 'x.a.b')).toBe(true);
});
