import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ANY, charactersOf, complement, printCharacters, range } from './characters.ts';
import { regexSource } from './path-regex.fixture.ts';
import { isPathRegex, MOST_REGEXES, type PathRegex, readPathRegex, withinHost } from './path-regex.ts';

test.each([
  ['/api/v[0-9]+/.*', '/api/v[0-9]+/.*'],
  [String.raw`^/(users|units)/\d+$`, '/(?:users|units)/[0-9]+'],
  [String.raw`/a\.php`, String.raw`/a\.php`],
  ['/((((a))))', '/a'],
  ['/a{2,4}(bc){2}', '/a{2,4}(?:bc){2}'],
  ['/%2f%41', '/%2FA'],
  [String.raw`/[\]\-a-c]`, String.raw`/[\-\]a-c]`],
  ['/[^/]*', '/[^/]*'],
  ['/(|a)b?', '/(?:|a)b?'],
])('%s is %s', (source, text) => {
  expect(readPathRegex(source).text).toBe(text);
  expect(isPathRegex(text)).toBe(true);
});

test.each([
  'api',
  '',
  '/(?=a)',
  '/(?!a)',
  '/(?i)a',
  '/(?<n>a)',
  '/(*ACCEPT)',
  '/(*LIMIT_MATCH=1)a',
  String.raw`/(a)\1`,
  String.raw`/\x41`,
  String.raw`/\Qa\E`,
  '/a**',
  '/a*?',
  '/a++',
  '/(',
  '/)',
  '/[',
  '/[]',
  '/[z-a]',
  '/[[:alpha:]]',
  '/a$b',
  '/foo(/|$)(.*)',
  '/a b',
  '/a#b',
  '/ä',
  '/a\n',
  '/a{65}',
  '/a{3,2}',
  '/a{x}',
  '/(ab)+',
  `/${'a'.repeat(256)}`,
  `/${'(a{64}){64}'.repeat(4)}`,
  `/${'('.repeat(11)}a${')'.repeat(11)}`,
])('%j is refused with a remedy', (source) => {
  expect(() => readPathRegex(source)).toThrow(expect.objectContaining({ code: 'HG1002', remedy: expect.any(String) }));
});

describe('what multiplies the ways to read a path is refused', () => {
  test.each([
    '/(a+)+b',
    '/.*a.*b',
    '/.*.*x',
    '/[a-z]*[a-z0-9]*x',
    `/${'(a|a)'.repeat(20)}`,
    `/${'a?'.repeat(20)}${'a'.repeat(20)}`,
    '/.*a.{20}b',
    '/([a-z]|[a-m]){12}x',
  ])('%s', (source) => {
    expect(() => readPathRegex(source)).toThrow(/too many ways|without an upper limit/);
  });
  test.each([
    '/.*',
    '/a/.*/b/.*',
    '/[^/]+/[^/]+/[^/]+/x',
    '/.*/edit/[0-9]+',
    String.raw`/.*\.(php|html)`,
    '/(users|uploads|units)(/.*)?',
  ])('%s is not', (source) => {
    expect(readPathRegex(source).work).toBeLessThan(16);
  });
});

test('equal sets print alike and mean the same', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: ANY }), (bits) => {
      const set = bits & ANY;
      fc.pre(set !== 0n);
      const compiled = new RegExp(`^${printCharacters(set)}$`);
      for (const character of charactersOf(ANY)) {
        expect(compiled.test(character)).toBe((set & range(character, character)) !== 0n);
      }
      expect(complement(complement(set))).toBe(set);
    }),
    { numRuns: 200 },
  );
});

test('what is printed is read as the same', () => {
  fc.assert(
    fc.property(regexSource, (source) => {
      let read: PathRegex;
      try {
        read = readPathRegex(source);
      } catch {
        return;
      }
      expect(readPathRegex(read.text).text).toBe(read.text);
      // As JavaScript reads the source, which means the same there.
      const [ours, theirs] = [new RegExp(`^(?:${read.text})$`), new RegExp(`^(?:${source})$`)];
      for (const path of ['/', '/a', '/ab', '/a/b', '/a/0', '/aa0/b', '/b/a/']) {
        expect(ours.test(path)).toBe(theirs.test(path));
      }
    }),
    { numRuns: 500 },
  );
});

test('no text makes the reader slow or throw anything but its refusal', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'/ab.*+?|()[]{}^$\\-,0123:=%#'.split('')), maxLength: 256 }),
      (tail) => {
        let refusal: unknown = { code: 'HG1002' };
        try {
          readPathRegex(`/${tail}`);
        } catch (error) {
          refusal = error;
        }
        expect(refusal).toMatchObject({ code: 'HG1002' });
      },
    ),
    { numRuns: 500 },
  );
});

test('a host has a budget', () => {
  const cheap = Array.from({ length: 40 }, (_, i) => readPathRegex(`/${i}`));
  expect(withinHost(cheap)).toHaveLength(MOST_REGEXES);
  const dear = Array.from({ length: 20 }, (_, i) => readPathRegex(`/[ab]{60}${i}`));
  expect(withinHost(dear).length).toBeLessThan(20);
});
