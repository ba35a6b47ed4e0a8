import { ANY_HOST } from '../../../../lib/domain/host-name.ts';
import { hostId, mapFile } from '../../model/names.ts';

/**
 * The host that is asked for. Escaped, so that none of what keys of path.map put meaning in is left ("/" begins a path,
 * "#" ends one, "!" ends a host id): no spelling of Host makes another host's key. What a host may hold stays as it is.
 */
const HOST = 'req.fhdr(host),host_only,rtrim(.),lower,url_enc';
const PATH_LOOKUP = `concat(,txn.path,'#'),map_beg(${mapFile('path')})`;

/** A wildcard stands for one label (as lib/domain/host-name requestHost has it), not for whatever precedes a dot. */
const UNDER_WILDCARD =
  "{ req.fhdr(host) -m reg -i '^[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\\.[-a-z0-9_.]+(:[0-9]*)?$' }";

const FOUND = '{ var(txn.route) -m found }';

/** All that a request under an exact host needs, in one look-up: its route's value (model/route-value). */
export const findRoute = [`http-request set-var(txn.route) ${HOST},${PATH_LOOKUP}`];

/** Whatever has its route is done with the rules here: what follows is for the others, and costs nobody else anything. */
export const found = `http-request allow if ${FOUND}`;

/** Who decides where the look-up by name found nothing: the request's own host, else the wildcard over it. */
export const findHost = [
  // An empty path (absolute form, "OPTIONS *") means "/".
  'http-request set-var(txn.path) str(/) if !{ var(txn.path) -m beg / }',
  ...findRoute,
  `http-request set-var(txn.host) ${HOST},map_str(${mapFile('host')})`,
  `http-request set-var(txn.host) ${HOST},field(2,.,0),map_str(${mapFile('wildcard')}) if !{ var(txn.host) -m found } ${UNDER_WILDCARD}`,
];

/** The Exact and Prefix paths of the host whose key this variable holds. */
export function findPath(key: string): string {
  return `http-request set-var(txn.route) var(${key}),${PATH_LOOKUP} if !${FOUND}`;
}

/** What no host took, or a 404. */
export const elseAnyHost = [
  `http-request set-var(txn.route) str(${hostId(ANY_HOST)}),${PATH_LOOKUP} if !${FOUND}`,
  `http-request return status 404 content-type text/plain string "no route\\n" if !${FOUND}`,
];
