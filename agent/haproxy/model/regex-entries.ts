import { hash } from 'node:crypto';
import { comparePrecedence } from '../../../lib/domain/path.ts';
import { PathType, type Route } from '../../../proto/gen/headgate/v1/configured.ts';
import type { MapName } from './names.ts';
import { bucketDigits, HOST_MARK, regexBuckets } from './names.ts';
import { pathEntries } from './path-entries.ts';

/** One for each expression of a host. They follow the path in what is looked up, so the n-th one tells the n-th expression. */
export const REGEX_LETTERS = '0123456789abcdefghijklmnopqrstuv';

export interface HostEntries {
  /** What host.map or wildcard.map gives for the host. */
  readonly key: string;
  /** By map. A value that is a route's id stands for that route's value (route-value). */
  readonly maps: ReadonlyMap<MapName, ReadonlyMap<string, string>>;
}

/**
 * The entries of a host that has regular expressions.
 *
 * All of them are one pattern, in the order of precedence, so that no order among a map's entries counts:
 * `^hostid(?:first#|second#.|third#.{2})(.)` over `hostid + path + "#" + letters`. Only one "#" is there, so each
 * alternative ends where the path does, and the letter that it leaves for the last group is its own. The value is the
 * digest of the pattern with that letter, the key in regex.map, where the route is: a changed host gets a new pattern
 * beside the old, and whichever of the two matches leads to its own routes.
 * Exact paths stand in regex.map too, as `hostid/path#`: there no expression is asked for.
 */
export function regexEntries(id: string, routes: readonly Pick<Route, 'id' | 'pathType' | 'path'>[]): HostEntries {
  const ordered = routes.toSorted(comparePrecedence);
  const bucket = regexBuckets[Number.parseInt(id.slice(0, 2), 16) % regexBuckets.length] ?? 'regex-00';
  const key = `${bucketDigits(bucket)}${id}`;
  const regexes = ordered.filter(({ pathType }) => pathType === PathType.REGEX);
  const alternatives = regexes.map(({ path }, i) => `(?:${path})#${i === 0 ? '' : `.{${i}}`}`);
  const pattern = `^${key}(?:${alternatives.join('|')})(.)`;
  const digest = hash('sha256', pattern, 'hex').slice(0, 12);
  const regex = new Map(regexes.map((route, i) => [`${digest}.${REGEX_LETTERS[i] ?? ''}`, route.id]));
  for (const route of ordered) if (route.pathType === PathType.EXACT) regex.set(`${key}${route.path}#`, route.id);
  const others = routes.filter(({ pathType }) => pathType !== PathType.REGEX);
  return {
    key: `${HOST_MARK}${key}`,
    maps: new Map<MapName, ReadonlyMap<string, string>>([
      ['path', pathEntries(key, others, undefined)],
      ['regex', regex],
      [bucket, new Map([[pattern, `${digest}.\\1`]])],
    ]),
  };
}

export function hasRegex(routes: readonly Pick<Route, 'pathType'>[]): boolean {
  return routes.some(({ pathType }) => pathType === PathType.REGEX);
}
