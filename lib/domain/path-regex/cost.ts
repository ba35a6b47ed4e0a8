import { unreachable } from '../../errors.ts';
import type { Characters } from './characters.ts';
import { charactersOf, ANY } from './characters.ts';
import { type Expression, refuse } from './parse.ts';

/** Characters or classes of one expression, with {m,n} written out. */
const MOST_POSITIONS = 256;
/** Tries that a matcher may make at one character of the path. */
const MOST_WORK = 64;
/** Situations that a matcher can be in; more than these are taken for too many. */
const MOST_SITUATIONS = 1_024;

export interface Cost {
  /** Positions: how large the compiled expression is. */
  readonly size: number;
  /** Upper bound of the tries at one character of any path. */
  readonly work: number;
}

type Counts = Map<number, number>;

/** What a part of the expression adds to the automaton, with the number of ways to each. */
interface Fragment {
  /** Ways to match nothing. */
  readonly empty: number;
  readonly first: Counts;
  readonly last: Counts;
}

/**
 * Proves that matching takes time in proportion to the path, or refuses.
 *
 * A backtracking matcher tries every way in which the expression can read a beginning of the path, at worst all of
 * them, once each. So the expression is made into its position automaton (Glushkov), with ways counted instead of
 * noted, and every situation is visited that any path can bring it to: at which positions how many ways stand. The
 * tries at one character are the ways out of all of them. Where that number is bounded by a constant the whole
 * match takes at most constant × length tries; where ways multiply along the path, as in `.*a.*b` or `(a|a)(a|a)…`,
 * the bound is passed within a few steps and the expression is refused. A final `.*` needs no counting: a way that
 * reaches it has matched, and the matcher stops.
 *
 * @throws HG1002
 */
export function costOf(expression: Expression): Cost {
  const automaton = new Automaton();
  const { first, last } = automaton.add(expression);
  const { sets, follow } = automaton;
  const isTail = (at: number): boolean =>
    sets[at] === ANY && last.has(at) && follow[at]?.size === 1 && follow[at].get(at) === 1;
  const out = follow.map((next) => total(next));
  const letters = classes(sets);

  let work = total(first);
  const seen = new Set<string>();
  // Situations whose next character has not been tried: the positions to read it with, and in how many ways.
  const waiting: Counts[] = [first];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const members of letters) {
      const reached: Counts = new Map();
      let tries = 0;
      for (const [at, ways] of next) {
        if (!members.has(at) || isTail(at)) continue;
        reached.set(at, ways);
        tries += ways * Math.max(1, out[at] ?? 0);
      }
      if (reached.size === 0) continue;
      work = Math.max(work, tries);
      if (work > MOST_WORK) tooCostly();
      const key = [...reached].sort(([a], [b]) => a - b).join(' ');
      if (seen.has(key)) continue;
      seen.add(key);
      if (seen.size > MOST_SITUATIONS) tooCostly();
      const onward: Counts = new Map();
      for (const [at, ways] of reached) for (const [to, more] of follow[at] ?? []) add(onward, to, ways * more);
      waiting.push(onward);
    }
  }
  return { size: sets.length, work };
}

function tooCostly(): never {
  refuse(
    'can read one path in too many ways, which would cost every request much',
    'let what follows a repetition begin with a character that it cannot read, as in "/[^/]+/" for "/.*/"',
  );
}

class Automaton {
  readonly sets: Characters[] = [];
  readonly follow: Counts[] = [];

  add(expression: Expression): Fragment {
    switch (expression.kind) {
      case 'characters': {
        if (this.sets.length >= MOST_POSITIONS) {
          refuse(`has more than ${MOST_POSITIONS} characters with its repetitions written out`, 'repeat less');
        }
        const at = this.sets.push(expression.set) - 1;
        this.follow.push(new Map());
        return { empty: 0, first: new Map([[at, 1]]), last: new Map([[at, 1]]) };
      }
      case 'sequence':
        return expression.parts.map((part) => this.add(part)).reduce((all, next) => this.#then(all, next), NOTHING);
      case 'choice':
        return expression.options
          .map((option) => this.add(option))
          .reduce((a, b) => ({
            empty: a.empty + b.empty,
            first: sum(a.first, 1, b.first, 1),
            last: sum(a.last, 1, b.last, 1),
          }));
      case 'repeat':
        return this.#repeat(expression);
      default:
        return unreachable(expression);
    }
  }

  #repeat({ of, min, max }: Expression & { kind: 'repeat' }): Fragment {
    let whole = NOTHING;
    for (let i = 0; i < min; i++) whole = this.#then(whole, this.add(of));
    if (max === undefined) {
      const loop = this.add(of);
      for (const [from, ways] of loop.last) for (const [to, more] of loop.first) this.#link(from, to, ways * more);
      return this.#then(whole, { ...loop, empty: 1 });
    }
    // x{2,4} is xx(x(x)?)?
    let rest = NOTHING;
    for (let i = min; i < max; i++) {
      const longer = this.#then(this.add(of), rest);
      rest = { ...longer, empty: longer.empty + 1 };
    }
    return this.#then(whole, rest);
  }

  #then(a: Fragment, b: Fragment): Fragment {
    for (const [from, ways] of a.last) for (const [to, more] of b.first) this.#link(from, to, ways * more);
    return {
      empty: a.empty * b.empty,
      first: sum(a.first, 1, b.first, a.empty),
      last: sum(b.last, 1, a.last, b.empty),
    };
  }

  #link(from: number, to: number, ways: number): void {
    const next = this.follow[from];
    if (next !== undefined) add(next, to, ways);
  }
}

const NOTHING: Fragment = { empty: 1, first: new Map(), last: new Map() };

function add(counts: Counts, at: number, ways: number): void {
  // Far above every bound, far below what a number holds.
  counts.set(at, Math.min((counts.get(at) ?? 0) + ways, 1_000_000));
}

function sum(a: Counts, times: number, b: Counts, more: number): Counts {
  const both: Counts = new Map();
  if (times > 0) for (const [at, ways] of a) add(both, at, ways * times);
  if (more > 0) for (const [at, ways] of b) add(both, at, ways * more);
  return both;
}

function total(counts: Counts): number {
  let all = 0;
  for (const ways of counts.values()) all += ways;
  return all;
}

/** Characters that the same positions read, as those positions; each such group once. */
function classes(sets: readonly Characters[]): ReadonlySet<number>[] {
  const readers = new Map<string, ReadonlySet<number>>();
  for (const character of charactersOf(ANY)) {
    const single = 1n << BigInt(character.charCodeAt(0) - 0x21);
    const positions = sets.flatMap((set, at) => ((set & single) === 0n ? [] : [at]));
    readers.set(positions.join(), new Set(positions));
  }
  return [...readers.values()];
}
