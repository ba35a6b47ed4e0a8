import { describe, expect, test } from 'vitest';
import { HeadgateError } from '../errors.ts';
import { drawToken, formatToken, parseToken, secretHash, type JoinToken } from './token.ts';

function token(): JoinToken {
  return { ...drawToken(), cluster: 'eu', role: 'cluster', rootSpki: 'a'.repeat(43), expiresAt: 1_800_000_000_000 };
}

describe('join token', () => {
  test('survives a round trip, white space around it included', () => {
    const made = token();
    expect(parseToken(` ${formatToken(made)}\n`)).toEqual(made);
    expect(formatToken(made)).toMatch(/^hgjoin1\.\S+$/);
  });

  test('refuses anything else with HG2004 and does not repeat it', () => {
    const line = formatToken(token());
    const parts = line.split('.');
    const replaced = (index: number, part: string) => parts.with(index, part).join('.');
    const wrong = [
      '',
      'hgjoin1.',
      line.slice(1),
      line.replace('hgjoin1', 'hgjoin2'),
      `${line}.x`,
      `${line}\n${line}`,
      parts.slice(0, -1).join('.'),
      replaced(1, ''),
      replaced(2, 'short'),
      replaced(2, `${'a'.repeat(42)}!`),
      replaced(3, 'EU'),
      replaced(3, '../hub'),
      replaced(4, 'hub'),
      replaced(5, 'b'.repeat(44)),
      replaced(6, '0'),
      replaced(6, '-5'),
      replaced(6, 'zz zz'),
      replaced(6, '1x_'),
      'x'.repeat(100_000),
    ];
    for (const text of wrong) {
      let thrown: unknown;
      try {
        parseToken(text);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(HeadgateError);
      if (!(thrown instanceof HeadgateError)) continue;
      expect(thrown.code).toBe('HG2004');
      expect(thrown.line()).not.toContain(parts[2]);
    }
  });

  test('keeps only a hash of the secret', () => {
    const { secret } = token();
    expect(secretHash(secret)).toMatch(/^[\w-]{43}$/);
    expect(secretHash(secret)).not.toBe(secret);
  });
});
