import { ANY_HOST } from '../../../../lib/domain/host-name.ts';
import { hostId, mapFile } from '../../model/names.ts';

const HOST = 'req.fhdr(host),host_only,rtrim(.),lower';
const PATH_LOOKUP = `concat(,txn.path,'#'),map_beg(${mapFile('path')})`;

/** A wildcard stands for one label (as lib/domain/host-name requestHost has it), not for whatever precedes a dot. */
const UNDER_WILDCARD =
  "{ req.fhdr(host) -m reg -i '^[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\\.[-a-z0-9_.]+(:[0-9]*)?$' }";

/** The host that decides: the request's own, else the wildcard over it. */
export const findHost = [
  `http-request set-var(txn.host) ${HOST},map_str(${mapFile('host')})`,
  `http-request set-var(txn.host) ${HOST},field(2,.,0),map_str(${mapFile('wildcard')}) if !{ var(txn.host) -m found } ${UNDER_WILDCARD}`,
];

/** The host's Exact and Prefix paths. */
export const findPath = [`http-request set-var(txn.route) var(txn.host),${PATH_LOOKUP}`];

/** What no host took, or a 404. */
export const elseAnyHost = [
  `http-request set-var(txn.route) str(${hostId(ANY_HOST)}),${PATH_LOOKUP} if !{ var(txn.route) -m found }`,
  'http-request return status 404 content-type text/plain string "no route\\n" if !{ var(txn.route) -m found }',
];
