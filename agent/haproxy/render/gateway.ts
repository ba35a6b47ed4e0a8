import type { Fixed } from '../model/desired.ts';
import { CLIENT_HEADER, files, mapFile, NOTHING, PROBE_PATH, ROUTE_HEADER } from '../model/names.ts';
import { bind } from './bind.ts';
import { indent } from './indent.ts';
import { nameFresh } from './reuse.ts';
import { declinedOverHttp2, upgradeOverHttp2 } from './rules/headers.ts';

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
      `${bind(listeners.gateway)} ssl crt-list ${files.gatewayCertificates} ca-file ${files.gatewayCa} verify required`,
      // Longer than callers keep idle connections, which they halve every 5 s: who closes one must not meet a request.
      'timeout http-keep-alive 2m',
      // A leaf from a cluster's own CA has no subject, and that CA's name is the cluster's.
      `http-request return status 403 content-type text/plain string "unknown gateway\\n" if !{ ssl_c_s_dn(CN),map_str(${mapFile('peer')}) -m found } !{ ssl_c_i_dn(CN),map_str(${mapFile('peer')}) -m found }`,
      `http-request set-var(txn.slot) req.fhdr(${ROUTE_HEADER}),map_str(${mapFile('gateway')})`,
      `http-request return status 200 content-type text/plain string "ok\\n" if ${probe} !{ req.fhdr(${ROUTE_HEADER}) -m found }`,
      `http-request return status 200 content-type text/plain string "ok\\n" if ${probe} { var(txn.slot),nbsrv gt 0 } or ${probe} { stopping } { var(txn.slot) -m found }`,
      `http-request return status 503 content-type text/plain string "no endpoint\\n" if ${probe}`,
      // A WebSocket comes over HTTP/1.1, where a pod that declines is heard as it is; other upgrades do not.
      upgradeOverHttp2,
      declinedOverHttp2,
      // For logs and hashes by source here, and for what is told to pods of the connection.
      `http-request set-src req.hdr_ip(${CLIENT_HEADER}) if { req.hdr_ip(${CLIENT_HEADER}) -m found }`,
      'http-request del-header x-headgate- -m beg',
      nameFresh,
      'use_backend %[var(txn.slot)] if { var(txn.slot),nbsrv gt 0 } or { stopping } { var(txn.slot) -m found }',
      `default_backend ${NOTHING}`,
    ]),
  ];
}
