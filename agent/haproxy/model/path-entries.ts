import { PathType, type Route } from '../../../proto/gen/headgate/v1/configured.ts';

/**
 * The entries of path.map for a host's routes. A request looks up `hostid + path + "#"` by longest prefix; "#"
 * can stand in no request path. Exact `/p` is `h/p#`; Prefix `/p` is `h/p#` and `h/p/`, so that `/pq` is
 * not under it; Exact owns `h/p#`. An empty path (absolute form, `OPTIONS *`) is `h#` and means "/".
 * @param routes their paths as routePath gives them: in normal form, a Prefix without its final slash.
 * @param fallback route for what no path takes: the default backend of "*".
 */
export function pathEntries(
  id: string,
  routes: readonly Pick<Route, 'id' | 'pathType' | 'path'>[],
  fallback: string | undefined,
): Map<string, string> {
  const entries = new Map<string, string>();
  const put = (path: string, route: string): void => {
    // The first of two equal paths wins.
    if (!entries.has(id + path)) entries.set(id + path, route);
  };
  const ordered = [
    ...routes.filter(({ pathType }) => pathType === PathType.EXACT),
    ...routes.filter(({ pathType }) => pathType !== PathType.EXACT),
  ];
  for (const { id: route, pathType, path } of ordered) {
    if (pathType === PathType.EXACT) put(`${path}#`, route);
    else if (path !== '/') put(`${path}#`, route);
    if (pathType !== PathType.EXACT) put(path === '/' ? '/' : `${path}/`, route);
    if (path === '/') put('#', route);
  }
  if (fallback !== undefined) put('', fallback);
  return entries;
}
