import * as fc from 'fast-check';

const atom = fc.constantFrom('a', 'b', '0', '/', '.', '[ab]', '[^/]', '[0-9]', '[a-z0-9]');
const times = fc.constantFrom('', '', '', '?', '*', '+', '{2}', '{1,3}');

const { body } = fc.letrec<{ body: string; part: string }>((tie) => ({
  part: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.tuple(atom, times).map(([one, repeat]) => one + repeat),
    fc
      .tuple(tie('body'), tie('body'), fc.constantFrom('', '?', '{0,2}'))
      .map(([first, second, repeat]) => `(?:${first}|${second})${repeat}`),
  ),
  body: fc.array(tie('part'), { maxLength: 4 }).map((parts) => parts.join('')),
}));

/** Expressions in the subset's grammar, most of them acceptable. */
export const regexSource: fc.Arbitrary<string> = body.map((text) => `/${text}`);
