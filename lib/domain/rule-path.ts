import { PathType } from '../../proto/gen/headgate/v1/configured.ts';
import { routePath, validRulePath } from './path.ts';
import { isPathRegex } from './path-regex/path-regex.ts';

/** Whether a path is written as routes of this type are known by it, and can match a request. */
export function isRoutePath(pathType: PathType, path: string): boolean {
  switch (pathType) {
    case PathType.EXACT:
    case PathType.PREFIX:
      return validRulePath(path) && routePath(pathType, path) === path;
    case PathType.REGEX:
      return isPathRegex(path);
    default:
      return false;
  }
}

/** As people read it. */
export function pathTypeName(pathType: PathType): 'Exact' | 'Prefix' | 'Regex' {
  return pathType === PathType.EXACT ? 'Exact' : pathType === PathType.REGEX ? 'Regex' : 'Prefix';
}
