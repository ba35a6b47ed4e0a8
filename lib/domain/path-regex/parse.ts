import { HeadgateError } from '../../errors.ts';
import { normalPath } from '../path.ts';
import { ANY, type Characters, complement, isPathCharacter, NONE, range } from './characters.ts';

export type Expression =
  | { readonly kind: 'characters'; readonly set: Characters }
  | { readonly kind: 'sequence'; readonly parts: readonly Expression[] }
  | { readonly kind: 'choice'; readonly options: readonly Expression[] }
  | { readonly kind: 'repeat'; readonly of: Expression; readonly min: number; readonly max: number | undefined };

/** Characters of one expression. */
const MOST_CHARACTERS = 256;
/** Largest number in `{m,n}`. */
const MOST_TIMES = 64;
/** Depth of parentheses. */
const DEEPEST = 10;

const REMEDY =
  'use literals, ".", classes, groups, "|", "?", "*", "+" and {m,n}; the expression stands for the whole path';

/** @throws HG1002 for what is not in the subset. */
export function parse(text: string): Expression {
  if (text.length > MOST_CHARACTERS) refuse(`has ${text.length} characters; at most ${MOST_CHARACTERS} are read`);
  return new Parser(text).parse();
}

export function refuse(why: string, remedy = REMEDY): never {
  throw new HeadgateError('HG1002', `the regular expression ${why}`, { remedy });
}

/** Recursive descent: choice → sequence → repeat → atom. */
class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Expression {
    // Both are implied.
    this.#take('^');
    const whole = this.#choice();
    this.#take('$');
    if (this.#at < this.#text.length) this.#unexpected();
    return whole;
  }

  #choice(): Expression {
    const options = [this.#sequence()];
    while (this.#take('|')) options.push(this.#sequence());
    return options.length === 1 && options[0] !== undefined ? options[0] : { kind: 'choice', options };
  }

  #sequence(): Expression {
    const parts: Expression[] = [];
    while (this.#at < this.#text.length && !'|)$'.includes(this.#next())) parts.push(...this.#repeat());
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'sequence', parts };
  }

  #repeat(): readonly Expression[] {
    const atoms = this.#atom();
    const of = atoms.at(-1);
    const times = this.#times();
    if (of === undefined || times === undefined) return atoms;
    if (this.#at < this.#text.length && '*+?{'.includes(this.#next())) {
      refuse(`has two repetitions in a row, or a lazy or possessive one, at character ${this.#at + 1}`);
    }
    // PCRE keeps its place at every turn of a group, in a stack that a long path would exhaust.
    if (times.max === undefined && of.kind !== 'characters') {
      refuse(`repeats a group without an upper limit`, 'repeat a single character or class, or give {m,n}');
    }
    return [...atoms.slice(0, -1), { kind: 'repeat', of, ...times }];
  }

  #times(): { readonly min: number; readonly max: number | undefined } | undefined {
    if (this.#take('*')) return { min: 0, max: undefined };
    if (this.#take('+')) return { min: 1, max: undefined };
    if (this.#take('?')) return { min: 0, max: 1 };
    if (this.#at >= this.#text.length || this.#next() !== '{') return undefined;
    const given = /^\{(\d{1,3})(,)?(\d{1,3})?\}/.exec(this.#text.slice(this.#at));
    if (given === null) return refuse(`has a "{" that begins no {m}, {m,} or {m,n} at character ${this.#at + 1}`);
    const [whole, first = '', comma, last] = given;
    const min = Number(first);
    const max = comma === undefined ? min : last === undefined ? undefined : Number(last);
    if (min > MOST_TIMES || (max ?? 1) > MOST_TIMES || (max ?? min) < min || max === 0) {
      refuse(`has the repetition ${whole}; 1 to ${MOST_TIMES} times can be asked for`);
    }
    this.#at += whole.length;
    return { min, max };
  }

  /** Several where an escape stands for several characters. */
  #atom(): readonly Expression[] {
    const character = this.#next();
    switch (character) {
      case '(':
        return [this.#group()];
      case '[':
        return [{ kind: 'characters', set: this.#class() }];
      case '.':
        this.#at++;
        return [{ kind: 'characters', set: ANY }];
      case '\\':
        return [{ kind: 'characters', set: this.#escape() }];
      case '%':
        return this.#percent();
      default:
        if (!isPathCharacter(character) || '*+?{}]^$)'.includes(character)) this.#unexpected();
        this.#at++;
        return [{ kind: 'characters', set: range(character, character) }];
    }
  }

  #group(): Expression {
    this.#at++;
    if (this.#take('?') && !this.#take(':')) {
      refuse(`has a look-around, a named group or an option at character ${this.#at}`);
    }
    if (this.#at < this.#text.length && this.#next() === '*') refuse('has a verb "(*…)"');
    if (++this.#depth > DEEPEST) refuse(`has groups more than ${DEEPEST} deep`);
    const inner = this.#choice();
    this.#depth--;
    if (!this.#take(')')) {
      if (this.#at < this.#text.length) this.#unexpected();
      refuse('has a group that does not end');
    }
    // One of its own, so that what follows repeats all of it.
    return inner.kind === 'characters' ? inner : { kind: 'choice', options: [inner] };
  }

  #class(): Characters {
    this.#at++;
    const negated = this.#take('^');
    let set = NONE;
    for (let first = true; ; first = false) {
      if (this.#at >= this.#text.length) refuse('has a class that does not end');
      if (!first && this.#take(']')) break;
      const from = this.#member();
      if (from.length !== 1 || this.#next() !== '-' || this.#text[this.#at + 1] === ']') {
        set |= from.length === 1 ? range(from, from) : named(from);
        continue;
      }
      this.#at++;
      const to = this.#member();
      if (to.length !== 1 || to < from) refuse(`has a range that runs backwards at character ${this.#at}`);
      set |= range(from, to);
    }
    const chosen = negated ? complement(set) : set;
    return chosen === NONE ? refuse('has a class that no character of a path is in') : chosen;
  }

  /** One character of a class, or the letter of an escape after its backslash. */
  #member(): string {
    const character = this.#next();
    if (character === '[' || character === ']') {
      refuse(`has a bare "${character}" in a class`, String.raw`write "\[" and "\]" there`);
    }
    if (!isPathCharacter(character)) this.#unexpected();
    this.#at++;
    if (character !== '\\') return character;
    const escaped = this.#escaped();
    return /[A-Za-z]/.test(escaped) ? `\\${escaped}` : escaped;
  }

  #escape(): Characters {
    this.#at++;
    const escaped = this.#escaped();
    return /[A-Za-z]/.test(escaped) ? named(`\\${escaped}`) : range(escaped, escaped);
  }

  #escaped(): string {
    const character = this.#next();
    if (!isPathCharacter(character) || /[0-9]/.test(character)) {
      refuse(`has a back-reference or an escape without a meaning at character ${this.#at + 1}`);
    }
    this.#at++;
    return character;
  }

  /** What a path in normal form holds in the place of an escape. */
  #percent(): readonly Expression[] {
    const escape = /^%[0-9A-Fa-f]{2}/.exec(this.#text.slice(this.#at))?.[0] ?? '%';
    this.#at += escape.length;
    const normal = normalPath(`/${escape}x`).slice(1, -1);
    return normal.split('').map((character) => ({ kind: 'characters', set: range(character, character) }));
  }

  #next(): string {
    return this.#text[this.#at] ?? '';
  }

  #take(character: string): boolean {
    if (this.#next() !== character || character === '') return false;
    this.#at++;
    return true;
  }

  #unexpected(): never {
    const character = this.#next();
    if (character === '$' || character === '^') refuse(`has an anchor inside, at character ${this.#at + 1}`);
    const shown = isPathCharacter(character) ? ` "${character}"` : '';
    return refuse(`cannot have${shown || ' what stands'} at character ${this.#at + 1}`);
  }
}

function named(escape: string): Characters {
  const word = range('0', '9') | range('A', 'Z') | range('a', 'z') | range('_', '_');
  switch (escape) {
    case String.raw`\d`:
      return range('0', '9');
    case String.raw`\D`:
      return complement(range('0', '9'));
    case String.raw`\w`:
      return word;
    case String.raw`\W`:
      return complement(word);
    default:
      return refuse(`has the escape ${escape}`, String.raw`use \d, \w or a class`);
  }
}
