import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { MapTable } from '../model/map-table.ts';
import { cliArgument, logFormatLiteral, mapLine, word } from './escape.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 40 });

/** How HAProxy reads one word in a file: strong quotes keep everything, outside them a backslash the next. */
function readWord(text: string): string {
  let out = '';
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i] ?? '';
    if (character === "'") quoted = !quoted;
    else if (!quoted && character === '\\') out += text[++i] ?? '';
    else if (!quoted && /[\s#"$]/.test(character)) throw new Error(`${character} outside quotes`);
    else out += character;
  }
  if (quoted) throw new Error('open quote');
  return out;
}

/** How the runtime API splits a line: `;` ends a command, blanks an argument, a backslash keeps the next. */
function readCommands(text: string): string[][] {
  const commands: string[][] = [['']];
  for (let i = 0; i < text.length; i++) {
    const character = text[i] ?? '';
    const words = commands.at(-1) ?? [];
    if (character === ';') commands.push(['']);
    else if (/[ \t]/.test(character)) words.push('');
    else words[words.length - 1] += character === '\\' ? (text[++i] ?? '') : character;
  }
  return commands;
}

const refused = (value: string): boolean => /[\0\r\n]/.test(value);

test('what can be written in no context is refused', () => {
  for (const value of ['a\0', 'a\r', 'a\nb']) {
    for (const escape of [word, cliArgument, logFormatLiteral]) {
      expect(() => escape(value)).toThrow('control character');
    }
  }
  for (const value of ['', '<<', '<<EOF']) expect(() => cliArgument(value)).toThrow('argument');
});

test('a word is read back as it was', () => {
  fc.assert(
    fc.property(anyText, (value) => {
      fc.pre(!refused(value));
      expect(readWord(word(value))).toBe(value);
    }),
  );
  expect(readWord(word("a'; $HOME \\ #"))).toBe("a'; $HOME \\ #");
});

test('a runtime argument stays one argument of one command', () => {
  fc.assert(
    fc.property(anyText, (value) => {
      fc.pre(!refused(value) && value !== '' && !value.startsWith('<<'));
      expect(readCommands(`set map m ${cliArgument(value)} v`)).toEqual([['set', 'map', 'm', value, 'v']]);
    }),
  );
  expect(readCommands(`k ${cliArgument('v;show version')}`)).toEqual([['k', 'v;show version']]);
});

test('a log-format literal holds no directive', () => {
  fc.assert(
    fc.property(anyText, (value) => {
      fc.pre(!refused(value));
      const literal = logFormatLiteral(value);
      expect(literal.replaceAll('%%', '')).not.toContain('%');
      expect(literal.replaceAll('%%', '%')).toBe(value);
    }),
  );
});

test('a map file reads back as the entries it was written from', () => {
  const key = fc.stringMatching(/^[!"$-~][!-~]{0,20}$/);
  fc.assert(
    fc.property(fc.dictionary(key, fc.stringMatching(/^[!-~]([ -~]{0,10}[!-~])?$/)), (entries) => {
      const table = new MapTable();
      for (const [k, v] of Object.entries(entries)) table.set(k, `${v}x`);
      for (const [k, v] of Object.entries(entries)) table.set(k, v);
      const read = table
        .text()
        .split('\n')
        .slice(0, -1)
        .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]);
      expect(Object.fromEntries(read)).toEqual(entries);
      expect(read.length).toBe(table.size);
    }),
  );
  for (const bad of ['', '#a', 'a b', 'a\n', 'a\tb']) expect(() => mapLine(bad, 'v')).toThrow(/map key/);
});
