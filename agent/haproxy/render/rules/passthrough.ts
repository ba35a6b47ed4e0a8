import { mapFile, NOTHING, PASSED_MARK } from '../../model/names.ts';

/**
 * Before anything is decrypted: the name that a client asks for decides whether its connection passes through. The
 * most specific host decides, as for requests: one that is served here is not looked for under a wildcard.
 */
export const bySni = [
  'tcp-request inspect-delay 5s',
  'tcp-request content reject if !{ req.ssl_hello_type 1 }',
  'tcp-request content set-var(sess.sni) req.ssl_sni,lower',
  `tcp-request content set-var(sess.passthrough) var(sess.sni),map_str(${mapFile('passthrough')})`,
  `tcp-request content set-var(sess.over) var(sess.sni),field(2,.,0) if !{ var(sess.passthrough) -m found } !{ var(sess.sni),map_str(${mapFile('host')}) -m found }`,
  `tcp-request content set-var(sess.passthrough) str(*.),concat(,sess.over),map_str(${mapFile('passthrough')}) if { var(sess.over) -m found }`,
  `tcp-request content reject if { var(sess.passthrough) -m str ${NOTHING} }`,
  'tcp-request content accept',
  'use_backend %[var(sess.passthrough)] if { var(sess.passthrough) -m found }',
];

const PASSED = `{ var(txn.host) -m beg ${PASSED_MARK} }`;

/** Requests for such a host that came otherwise: over plain HTTP, or on a connection for another name. */
export const passedHosts = [
  `http-request redirect scheme https code 308 if ${PASSED} !{ ssl_fc }`,
  `http-request return status 421 content-type text/plain string "ask on a connection of its own\\n" if ${PASSED}`,
];
