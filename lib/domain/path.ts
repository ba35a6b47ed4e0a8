import { PathType, type Route } from '../../proto/gen/headgate/v1/configured.ts';
import { compare } from '../compare.ts';

const unreserved = /^[A-Za-z0-9\-._~]$/;

/**
 * The normal form of a request's path, without its query, in which every match is made: escapes of
 * unreserved characters decoded, other escapes in upper case (RFC 3986, 6.2.2), slashes merged, then dot
 * segments removed with ".." at the root dropped. "%2F" and ";" stay what they are, and so does a "%" that
 * begins no escape (the data plane answers 400 to such a path).
 */
export function normalPath(path: string): string {
  const decoded = path.replace(/%([0-9A-Fa-f]{2})/g, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return unreserved.test(character) ? character : escape.toUpperCase();
  });
  const segments = decoded.replace(/\/{2,}/g, '/').split('/');
  const kept: string[] = [];
  // The text before the first slash is no segment; a path that has any is not absolute.
  for (const segment of segments[0] === '' ? segments.slice(1) : segments) {
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
  }
  const last = segments.at(-1);
  // "/a/." and "/a/b/.." name the folder: its slash stays.
  if ((last === '.' || last === '..') && kept.at(-1) !== '') kept.push('');
  return `/${kept.join('/')}`.replace(/^\/{2,}/, '/');
}

/**
 * As Gateway API has it. HAProxy's trees compare keys of up to 2,047 bytes; among longer ones they find some and miss
 * others (2.6 and 3.2), and a host takes up to 253.
 */
export const MAX_RULE_PATH = 1_024;

/** Whether a rule's path can be matched at all: absolute, visible ASCII, and none of what ends a path. */
export function validRulePath(path: string): boolean {
  return path.length <= MAX_RULE_PATH && /^\/[\x21-\x7e]*$/.test(path) && !/[?#]/.test(path);
}

/**
 * The path that a route is known by. The Ingress API ignores a Prefix path's final slash, so "/a" and "/a/"
 * are one route; an Exact path keeps its own. A regular expression is its own name, as readPathRegex prints it.
 */
export function routePath(pathType: PathType, path: string): string {
  if (pathType === PathType.REGEX) return path;
  const normal = normalPath(path);
  return pathType === PathType.PREFIX && normal.length > 1 ? normal.replace(/\/$/, '') : normal;
}

/** Whether a route's path matches a request's path in normal form (Ingress API: whole elements, case-sensitive). */
function pathMatches(pathType: PathType, rulePath: string, path: string): boolean {
  if (pathType === PathType.EXACT) return path === rulePath;
  if (pathType === PathType.REGEX) return new RegExp(`^(?:${rulePath})$`).test(path);
  if (rulePath === '/') return true;
  return path.startsWith(rulePath) && (path.length === rulePath.length || path[rulePath.length] === '/');
}

/** Exact before regular expressions before Prefix; then the longest, then the first by text. */
export function comparePrecedence(a: Pick<Route, 'pathType' | 'path'>, b: Pick<Route, 'pathType' | 'path'>): number {
  return rank(a.pathType) - rank(b.pathType) || b.path.length - a.path.length || compare(a.path, b.path);
}

function rank(pathType: PathType): number {
  return pathType === PathType.EXACT ? 0 : pathType === PathType.REGEX ? 1 : 2;
}

/**
 * The reference matcher.
 * @param path in normal form.
 */
export function matchRoute<R extends Pick<Route, 'pathType' | 'path'>>(
  routes: readonly R[],
  path: string,
): R | undefined {
  return routes.filter((route) => pathMatches(route.pathType, route.path, path)).sort(comparePrecedence)[0];
}
