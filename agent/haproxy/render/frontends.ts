import { ANY_HOST } from '../../../lib/domain/host-name.ts';
import { SHARE_UNITS } from '../../../lib/split/types.ts';
import type { Fixed } from '../model/desired.ts';
import { clusterTag, files, hostId, mapFile, NOTHING, PROBE_PATH, ROUTE_HEADER, sockets } from '../model/names.ts';
import { MAX_FALLBACKS, MAX_TARGETS } from '../model/split-value.ts';

// The fixed set of rules. They hold no name of any host, route, service or cluster: what differs between
// configurations is in the maps. Rules are ordered so that a plain request meets few of them.

/** Cookie of affinity: `<cluster tag>.<bucket>`. */
const AFFINITY_COOKIE = 'headgate';

/** A request path that is not in its normal form holds one of these. */
const UNUSUAL = '{ path -m sub // /. % }';
const WAS_UNUSUAL = '{ var(txn.raw) -m found }';
const AFFINITY = '{ var(txn.split) -m end ! }';

/**
 * Puts the normal form of the path into txn.path (as lib/domain/path normalPath) and leaves the request as it came.
 * Normalising takes the query along and refuses "%" that begins no escape, so the query is put aside and such a "%"
 * is written "#" meanwhile, which no request path can hold. `strict` is given because HAProxy 2.6 reads
 * `percent-decode-unreserved if …` as `path-merge-slashes`.
 */
const normalForm = [
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

const HOST = 'req.fhdr(host),host_only,rtrim(.),lower';
const PATH_LOOKUP = `concat(,txn.path,'#'),map_beg(${mapFile('path')})`;

/** A wildcard stands for one label (as lib/domain/host-name requestHost has it), not for whatever precedes a dot. */
const UNDER_WILDCARD =
  "{ req.fhdr(host) -m reg -i '^[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\\.[-a-z0-9_.]+(:[0-9]*)?$' }";

const route = [
  `http-request set-var(txn.host) ${HOST},map_str(${mapFile('host')})`,
  `http-request set-var(txn.host) ${HOST},field(2,.,0),map_str(${mapFile('wildcard')}) if !{ var(txn.host) -m found } ${UNDER_WILDCARD}`,
  `http-request set-var(txn.route) var(txn.host),${PATH_LOOKUP}`,
  `http-request set-var(txn.route) str(${hostId(ANY_HOST)}),${PATH_LOOKUP} if !{ var(txn.route) -m found }`,
  'http-request return status 404 content-type text/plain string "no route\\n" if !{ var(txn.route) -m found }',
];

const split = [
  `http-request set-var(txn.split) var(txn.route),map_str(${mapFile('split')})`,
  `http-request set-var(txn.bucket) rand(${SHARE_UNITS})`,
  // A returning client brings its bucket, so that a change of weights moves as few as it must. A forged one only
  // chooses among the route's own targets.
  `http-request set-var(txn.cookie) req.cook(${AFFINITY_COOKIE}) if ${AFFINITY}`,
  `http-request set-var(txn.bucket) var(txn.cookie),field(2,.),mod(${SHARE_UNITS}) if { var(txn.cookie) -m found }`,
  `http-request set-var(txn.sticky) var(txn.cookie),field(1,.),concat(.,txn.route),map_str(${mapFile('sticky')}) if { var(txn.cookie) -m found }`,
];

/** What two readers could take differently is not for any backend to read. */
const framing = [
  // HAProxy 2.6 passes "chunked," on, which other readers may not take for chunks.
  'http-request deny deny_status 400 if { req.fhdr(transfer-encoding) -m found } !{ req.fhdr(transfer-encoding) -m str -i chunked }',
  // Behind an upgrade to HTTP/2 requests would reach a backend that no rule here has seen; HAProxy 3.2 refuses it itself.
  'http-request del-header upgrade if { req.hdr(upgrade) -m str -i h2c }',
  // A proxy behind us would drop the headers that a client names here (RFC 9110, 7.6.1): ours among them.
  'http-request set-header connection upgrade if { req.fhdr(connection) -m found } { req.fhdr(upgrade) -m found }',
  'http-request del-header connection if !{ req.fhdr(upgrade) -m found }',
];

/** Who the client is says this entry alone. CGI and WSGI make one name of "-" and "_". */
const headers = [
  // One pass over the headers for all of them.
  "http-request del-header '^(x[-_](headgate|forwarded)|forwarded$|x[-_]real[-_]ip$)' -m reg",
  'http-request add-header x-forwarded-for %[src]',
  'http-request add-header x-forwarded-proto %[ssl_fc,iif(https,http)]',
  'http-request add-header x-forwarded-host %[req.fhdr(host)]',
  'http-request add-header x-forwarded-port %[dst_port]',
];

/**
 * Evaluated until the first that holds: the sticky target, the draw, then the fallbacks; none of them dead. In a
 * worker that a reload has replaced nbsrv is 0 everywhere (be_usable_srv counts nothing in a stopped proxy), while
 * its connections may still bring requests: there the first named target is taken as it is.
 */
const targets = [
  'use_backend %[var(txn.sticky)] if { var(txn.sticky),nbsrv gt 0 } or { stopping } { var(txn.sticky) -m found }',
  ...Array.from({ length: MAX_TARGETS }, (_, i) => {
    const backend = `var(txn.split),field(${2 * i + 2},:)`;
    const drawn = `{ var(txn.split),field(${2 * i + 1},:),sub(txn.bucket) gt 0 }`;
    return `use_backend %[${backend}] if ${drawn} { ${backend},nbsrv gt 0 } or ${drawn} { stopping }`;
  }),
  ...Array.from({ length: MAX_FALLBACKS }, (_, i) => {
    const backend = `var(txn.split),field(${i + 2},|)`;
    return `use_backend %[${backend}] if { ${backend},nbsrv gt 0 }`;
  }),
  `default_backend ${NOTHING}`,
];

function responses(cluster: string): string[] {
  const tag = `%[be_name,map_str(${mapFile('tag')},${clusterTag(cluster)})]`;
  const cookie = `${AFFINITY_COOKIE}=${tag}.%[var(txn.bucket)]; Path=/; HttpOnly; SameSite=Lax`;
  // A client that went where its cookie says keeps it.
  const moved = `${AFFINITY} !{ be_name,strcmp(txn.sticky) eq 0 }`;
  return [
    'http-response del-header x-headgate- -m beg',
    `http-response add-header set-cookie "${cookie}" if ${moved} !{ ssl_fc }`,
    `http-response add-header set-cookie "${cookie}; Secure" if ${moved} { ssl_fc }`,
  ];
}

/** The listener chain (fixed at start) and the one frontend that every client's request is decided in. */
export function entry({ cluster, listeners }: Pick<Fixed, 'cluster' | 'listeners'>): string[] {
  const proxied = listeners.proxyProtocol ? ' accept-proxy' : '';
  const tls = `ssl crt-list ${files.crtList} alpn h2,http/1.1`;
  const rules = [...framing, ...normalForm, ...route, ...split, ...headers, ...targets, ...responses(cluster)];
  if (!listeners.tlsPassthrough) {
    return [
      'frontend entry',
      ...indent([`bind ${listeners.http}${proxied}`, `bind ${listeners.https} ${tls}${proxied}`, ...rules]),
    ];
  }
  return [
    'frontend tls-front',
    ...indent([
      'mode tcp',
      // A default that is for HTTP only.
      'no option idle-close-on-response',
      `bind ${listeners.https}${proxied}`,
      'tcp-request inspect-delay 5s',
      `tcp-request content set-var(sess.passthrough) req.ssl_sni,lower,map_str(${mapFile('passthrough')})`,
      'tcp-request content accept if { req.ssl_hello_type 1 }',
      'use_backend %[var(sess.passthrough)] if { var(sess.passthrough) -m found }',
      'default_backend tls-terminate',
    ]),
    'backend tls-terminate',
    ...indent(['mode tcp', `server terminate unix@${sockets.terminate} send-proxy-v2`]),
    'frontend entry',
    ...indent([
      `bind ${listeners.http}${proxied}`,
      `bind unix@${sockets.terminate} mode 600 ${tls} accept-proxy`,
      ...rules,
    ]),
  ];
}

/**
 * What other clusters' gateways may ask: their entry has decided everything, so this one serves from its own
 * endpoints or says 503 at once. A request that crossed carries X-Forwarded-For, a probe does not, so no client can
 * ask for the probe page through its entry.
 */
export function gateway({ listeners }: Pick<Fixed, 'listeners'>): string[] {
  const probe = `{ path ${PROBE_PATH} } !{ req.fhdr(x-forwarded-for) -m found }`;
  return [
    'frontend gateway',
    ...indent([
      `bind ${listeners.gateway} ssl crt ${files.gatewayCertificate} ca-file ${files.gatewayCa} verify required alpn h2,http/1.1`,
      `http-request return status 403 content-type text/plain string "unknown gateway\\n" if !{ ssl_c_s_dn(CN),map_str(${mapFile('peer')}) -m found }`,
      `http-request set-var(txn.slot) req.fhdr(${ROUTE_HEADER}),map_str(${mapFile('gateway')})`,
      `http-request return status 200 content-type text/plain string "ok\\n" if ${probe} !{ req.fhdr(${ROUTE_HEADER}) -m found }`,
      `http-request return status 200 content-type text/plain string "ok\\n" if ${probe} { var(txn.slot),nbsrv gt 0 } or ${probe} { stopping } { var(txn.slot) -m found }`,
      `http-request return status 503 content-type text/plain string "no endpoint\\n" if ${probe}`,
      // Over HTTP/2 a 200 agrees to an upgrade (RFC 8441, section 5), which a backend that answers 200 has not done.
      'http-request set-var(txn.upgrade) req.fhdr(upgrade)',
      'http-response set-status 502 if { var(txn.upgrade) -m found } { status 200:299 }',
      'http-request del-header x-headgate- -m beg',
      'use_backend %[var(txn.slot)] if { var(txn.slot),nbsrv gt 0 } or { stopping } { var(txn.slot) -m found }',
      `default_backend ${NOTHING}`,
    ]),
  ];
}

export function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
