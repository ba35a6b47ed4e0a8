import { describe, expect, it } from 'vitest';
import { setMapEntry } from '../render/commands.ts';
import { encodeCommand, query } from './command.ts';

const accepts = /^$/;

describe('encodeCommand', () => {
  it('ends a line, and a payload by a blank one', () => {
    expect(encodeCommand(query('show info'))).toBe('show info\n');
    expect(encodeCommand({ text: 'add map m <<\na 1\nb 2', payload: true, accepts })).toBe(
      'add map m <<\na 1\nb 2\n\n',
    );
  });

  it('lets an escaped semicolon pass', () => {
    expect(encodeCommand(setMapEntry('host', 'a;show', 'b'))).toContain('a\\;show');
  });

  it.each([
    ['a second command', 'set map m k v;disable frontend entry', false],
    ['an escaped backslash before it', 'set map m k v\\\\;disable frontend entry', false],
    ['a second line', 'set map m k v\ndisable frontend entry', false],
    ['a carriage return', 'set map m k v\r', false],
    ['a payload where none is meant', 'set map m k <<', false],
    ['a payload that ends early', 'add map m <<\na 1\n\nshow info', true],
    ['no payload where one is meant', 'add map m k v', true],
    ['an empty payload', 'add map m <<', true],
  ])('refuses %s', (_, text, payload) => {
    expect(() => encodeCommand({ text, payload, accepts })).toThrow(expect.objectContaining({ code: 'HG9001' }));
  });

  it('refuses what 2.6 would drop without a word', () => {
    const text = `add map m <<\n${'k v\n'.repeat(4_000)}k v`;
    expect(() => encodeCommand({ text, payload: true, accepts })).toThrow(expect.objectContaining({ code: 'HG5005' }));
  });
});
