import type { Host, Route } from '../../proto/gen/headgate/v1/configured.ts';
import { ANY_HOST, wildcardOf } from './host-name.ts';
import { matchRoute, normalPath } from './path.ts';

export interface RequestMatch {
  /** The host whose routes were searched: the request's own, its wildcard, or "*". */
  readonly host: Host;
  readonly route: Route;
}

/**
 * Which route serves a request at one entry. The most specific host there is decides alone: a path that an
 * exact host does not have never falls to a wildcard, whose owner may be another tenant. What no host took
 * goes to the entry's own rules without a host, then to its default backend, as the Ingress API says.
 * @param lookup the entry's host bodies by name.
 * @param path raw, without query.
 */
export function matchRequest(
  lookup: (name: string) => Host | undefined,
  requestHost: string | undefined,
  path: string,
): RequestMatch | undefined {
  const normal = normalPath(path);
  if (requestHost !== undefined) {
    const wildcard = wildcardOf(requestHost);
    const host = lookup(requestHost) ?? (wildcard === undefined ? undefined : lookup(wildcard));
    const route = host === undefined ? undefined : matchRoute(host.routes, normal);
    if (host !== undefined && route !== undefined) return { host, route };
  }
  const any = lookup(ANY_HOST);
  if (any === undefined) return undefined;
  const route = matchRoute(any.routes, normal) ?? any.defaultRoute;
  return route === undefined ? undefined : { host: any, route };
}
