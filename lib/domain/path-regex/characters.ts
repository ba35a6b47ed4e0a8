/**
 * A set of the characters that a path in normal form can hold: visible ASCII but "#", which ends it. Bit i stands
 * for the character 0x21 + i.
 */
export type Characters = bigint;

const FIRST = 0x21;
const LAST = 0x7e;
/** What could mean something else in an expression, or in a class. */
const SPECIAL = /[\\^$.|?*+()[\]{}]/;
const SPECIAL_IN_CLASS = /[\\^\]-]/;

export const NONE: Characters = 0n;
export const ANY: Characters = ((1n << BigInt(LAST - FIRST + 1)) - 1n) & ~bit('#');

function bit(character: string): bigint {
  return 1n << BigInt(character.charCodeAt(0) - FIRST);
}

export function isPathCharacter(character: string): boolean {
  return character.length === 1 && character >= '!' && character <= '~' && character !== '#';
}

/** From one character to another, both included; "#" is passed over. */
export function range(from: string, to: string): Characters {
  let set = NONE;
  for (let code = from.charCodeAt(0); code <= to.charCodeAt(0); code++) set |= bit(String.fromCharCode(code));
  return set & ANY;
}

export function complement(set: Characters): Characters {
  return ANY & ~set;
}

export function charactersOf(set: Characters): string[] {
  const found: string[] = [];
  for (let code = FIRST; code <= LAST; code++) {
    const character = String.fromCharCode(code);
    if ((set & bit(character)) !== 0n) found.push(character);
  }
  return found;
}

/**
 * The set as PCRE and JavaScript both read it; equal sets print alike. A negated class holds "#" too, which costs
 * nothing: the path is followed by the only one there is, and what comes after it in the expression asks for it.
 */
export function printCharacters(set: Characters): string {
  if (set === ANY) return '.';
  const members = charactersOf(set);
  const [only] = members;
  if (members.length === 1 && only !== undefined) return SPECIAL.test(only) ? `\\${only}` : only;
  const negated = charactersOf(complement(set));
  return negated.length < members.length ? `[^${ranges(negated)}]` : `[${ranges(members)}]`;
}

function ranges(members: readonly string[]): string {
  const printed: string[] = [];
  for (let at = 0; at < members.length;) {
    const from = members[at] ?? '';
    let end = at;
    while (members[end + 1]?.charCodeAt(0) === (members[end]?.charCodeAt(0) ?? 0) + 1) end++;
    const to = members[end] ?? '';
    if (end - at >= 2) printed.push(`${inClass(from)}-${inClass(to)}`);
    else printed.push(...members.slice(at, end + 1).map(inClass));
    at = end + 1;
  }
  return printed.join('');
}

function inClass(character: string): string {
  // "[" needs it for readers that know `[:alpha:]`.
  return SPECIAL_IN_CLASS.test(character) || character === '[' ? `\\${character}` : character;
}
