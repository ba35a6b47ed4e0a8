/** A request path that is not in its normal form holds one of these. */
const UNUSUAL = '{ path -m sub // /. % }';
const WAS_UNUSUAL = '{ var(txn.raw) -m found }';

/** Puts a path that is in its normal form into txn.path. Any other finds no route yet, and so comes to normalForm. */
export const plainPath = [`http-request set-var(txn.path) path if !${UNUSUAL}`];

/**
 * Puts the normal form of the path into txn.path (as lib/domain/path normalPath) and leaves the request as it came.
 * Normalising takes the query along and refuses "%" that begins no escape, so the query is put aside and such a "%"
 * is written "#" meanwhile, which no request path can hold. `strict` is given because HAProxy 2.6 reads
 * `percent-decode-unreserved if …` as `path-merge-slashes`.
 */
export const normalForm = [
  `http-request set-var(txn.raw) pathq if ${UNUSUAL}`,
  `http-request set-pathq %[path,'regsub("%(?![0-9A-Fa-f]{2})","#",g)'] if ${WAS_UNUSUAL}`,
  `http-request normalize-uri percent-decode-unreserved strict if ${WAS_UNUSUAL}`,
  `http-request normalize-uri percent-to-uppercase strict if ${WAS_UNUSUAL}`,
  `http-request normalize-uri path-merge-slashes if ${WAS_UNUSUAL}`,
  `http-request normalize-uri path-strip-dot if ${WAS_UNUSUAL}`,
  `http-request normalize-uri path-strip-dotdot full if ${WAS_UNUSUAL}`,
  'http-request set-var(txn.path) path',
  `http-request set-var(txn.path) var(txn.path),regsub(\\#,%,g) if ${WAS_UNUSUAL} { var(txn.path) -m sub \\# }`,
  `http-request set-pathq %[var(txn.raw)] if ${WAS_UNUSUAL}`,
];
