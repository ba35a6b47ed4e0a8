import { unreachable } from '../../errors.ts';
import { printCharacters } from './characters.ts';
import { type Cost, costOf } from './cost.ts';
import { type Expression, parse, refuse } from './parse.ts';

/** A regular expression over the whole path in normal form. */
export interface PathRegex extends Cost {
  /** Printed from what was understood, for PCRE and JavaScript alike; equal expressions print alike. */
  readonly text: string;
}

/** Per host: the alphabet that tells its expressions apart has so many letters. */
export const MOST_REGEXES = 32;
/** Per host, of their sum; what PCRE compiles them to stays below its limit of 64 KiB. */
const MOST_SIZE = 1_024;
/** Per host, of their sum: tries at one character of a path. */
const MOST_WORK = 256;
/** Per host, of their sum in bytes: all are one line of a map, and one command. */
const MOST_TEXT = 8_000;

/**
 * Reads a tenant's expression: literals, `.`, classes, `\d` and `\w`, groups, alternatives, `?`, `*`, `+` and
 * `{m,n}`. Whatever is not understood is refused, and so is what would cost more than time in proportion to the path.
 * @throws HG1002 with a remedy.
 */
export function readPathRegex(source: string): PathRegex {
  const expression = parse(source);
  if (!source.startsWith('/') && !source.startsWith('^/')) {
    refuse('does not begin with "/"', 'begin it with "/", as every path does');
  }
  return { text: print(expression), ...costOf(expression) };
}

/** Whether the text is an expression exactly as `readPathRegex` prints it. */
export function isPathRegex(text: string): boolean {
  try {
    return readPathRegex(text).text === text;
  } catch {
    return false;
  }
}

/** The first ones of a host's expressions that it may have together. */
export function withinHost<R extends PathRegex>(regexes: readonly R[]): readonly R[] {
  const sum = { size: 0, work: 0, text: 0 };
  const kept: R[] = [];
  for (const regex of regexes) {
    sum.size += regex.size;
    sum.work += regex.work;
    sum.text += regex.text.length;
    const over = kept.length >= MOST_REGEXES || sum.size > MOST_SIZE || sum.work > MOST_WORK || sum.text > MOST_TEXT;
    if (over) break;
    kept.push(regex);
  }
  return kept;
}

function print(expression: Expression): string {
  switch (expression.kind) {
    case 'characters':
      return printCharacters(expression.set);
    case 'sequence':
      return expression.parts.map((part) => (isOpen(part) ? `(?:${print(part)})` : print(part))).join('');
    case 'choice':
      return expression.options.map(print).join('|');
    case 'repeat':
      return `${isAtom(expression.of) ? print(expression.of) : `(?:${print(expression.of)})`}${times(expression)}`;
    default:
      return unreachable(expression);
  }
}

/** Whether it would swallow its neighbours. */
function isOpen(expression: Expression): boolean {
  return expression.kind === 'choice' && (expression.options.length > 1 || expression.options.some(isOpen));
}

function isAtom(expression: Expression): boolean {
  return expression.kind === 'characters';
}

function times({ min, max }: Expression & { kind: 'repeat' }): string {
  if (max === undefined) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`;
  if (min === 0 && max === 1) return '?';
  return min === max ? `{${min}}` : `{${min},${max}}`;
}
