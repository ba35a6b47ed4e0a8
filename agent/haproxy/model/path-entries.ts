import { PathType, type Route } from '../../../proto/gen/headgate/v1/configured.ts';

/**
 * The entries of path.map for a host's routes, each with the route's id. A request looks up `key + path + "#"` by
 * longest prefix; "#" can stand in no request path. Exact `/p` is `key/p#`; Prefix `/p` is `key/p#` and `key/p/`, so
 * that `/pq` is not under it, and Prefix `/` is `key/` alone; Exact owns `key/p#`.
 * @param key the host's name, or its id where a look-up by name must not find it.
 * @param routes their paths as routePath gives them: in normal form, a Prefix without its final slash.
 * @returns longest first, so that while they are put one by one none stands in for a longer one.
 * @returns longest first, so that while they are put one by one none stands in for a longer one.
 * @param fallback route for what no path takes: the default backend of "*".
 */
export function pathEntries(
  key: string,
  routes: readonly Pick<Route, 'id' | 'pathType' | 'path'>[],
  fallback: string | undefined,
): Map<string, string> {
  const entries = new Map<string, string>();
  const put = (path: string, route: string): void => {
    // The first of two equal paths wins.
    if (!entries.has(key + path)) entries.set(key + path, route);
  };
  const ordered = [
    ...routes.filter(({ pathType }) => pathType === PathType.EXACT),
    ...routes.filter(({ pathType }) => pathType !== PathType.EXACT),
  ];
  for (const { id: route, pathType, path } of ordered) {
    if (pathType === PathType.EXACT || path !== '/') put(`${path}#`, route);
    if (pathType !== PathType.EXACT) put(path === '/' ? '/' : `${path}/`, route);
  }
  if (fallback !== undefined) put('/', fallback);
  return new Map([...entries].sort(([a], [b]) => b.length - a.length));
}
