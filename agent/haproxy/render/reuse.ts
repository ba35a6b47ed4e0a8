import type { BackendSettings } from '../../../proto/gen/headgate/v1/configured.ts';
import { mapFile } from '../model/names.ts';
import { keepsAll } from '../model/profile.ts';

// A pod may close an idle connection just as HAProxy sends the next request on it, and nobody can tell then whether
// the pod has had the request. One whose method is safe (RFC 9110, 9.2.1) is sent again. Any other goes over a
// connection of its own, which is pooled under a name that no other request asks for, and closed after the answer; see
// docs/decisions/0030. TLS is too dear for that, and HTTP/2 has no such close.

/** Names the connection that a request goes over. Set before the first attempt: the request may not be sent twice. */
const POOL_NAME = 'txn.pool';
const IS_FRESH = `{ var(${POOL_NAME}) -m found }`;

/**
 * The server option that names connections in the pool. HAProxy 2.6 goes by the SNI of servers without TLS, too;
 * 3.0 has an option of its own, and 3.2 nothing else.
 */
export type PoolName = 'sni' | 'pool-conn-name';

export function poolNameOf(version: string): PoolName {
  return Number.parseInt(version, 10) < 3 ? 'sni' : 'pool-conn-name';
}

/** In configuration files, which any version may come to load. */
export const POOL_NAME_VARIABLE = '"$POOL_NAME"';

/** Of the global section: what the variable is. */
export const poolNameLines = [
  '.if version_atleast(3.0-dev0)',
  '  setenv POOL_NAME pool-conn-name',
  '.else',
  '  setenv POOL_NAME sni',
  '.endif',
];

/**
 * Asked at each attempt to connect: what is sent again goes over a connection with another name, since others of those
 * that were idle may be closing, too.
 */
const NEXT_NAME = `var(${POOL_NAME},0),add(1),set-var(${POOL_NAME})`;

/** A frontend's rule. */
export const nameFresh = `http-request set-var(${POOL_NAME}) rand if !{ method GET HEAD OPTIONS TRACE CONNECT }`;

/** A backend's rules. */
export const freshLines = [
  `http-request disable-l7-retry if ${IS_FRESH}`,
  `http-request set-header connection close if ${IS_FRESH} !{ be_name,map_str(${mapFile('kept')}) -m found }`,
];

/** Options of a server whose connections are pooled. HAProxy 2.6 gives an added server no pool of its own accord. */
export const POOL = 'pool-max-conn -1 pool-purge-delay 5s';

export function endpointPool(settings: BackendSettings, name: PoolName | typeof POOL_NAME_VARIABLE): string[] {
  if (settings.passthrough) return [];
  return keepsAll(settings) ? [POOL] : [`${POOL} ${name} ${NEXT_NAME}`];
}
