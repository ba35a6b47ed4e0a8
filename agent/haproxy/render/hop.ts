import { files } from '../model/names.ts';

// Between gateways requests go over HTTP/1.1, where a worker that a reload has replaced answers one more on each idle
// connection, so that none is lost; see docs/decisions/0022. Those that HTTP/1.1 cannot carry whole go over HTTP/2.
// The caller says which by the SNI: connections with another SNI are pooled apart, and the callee offers HTTP/2 only
// to a caller that names it.

/** Set, and empty, for a request that goes over HTTP/2. */
const HTTP2 = 'txn.http2';

/**
 * gRPC ends in trailers even without a body, and both it and a stream of events are to hear at once of a client that
 * left. Of those only GET is sent again when it is lost.
 */
export const chooseProtocol =
  `http-request set-var(${HTTP2}) str() if { req.fhdr(content-type) -m beg application/grpc } or ` +
  '{ method GET } { req.fhdr(accept) -m beg text/event-stream }';

/** Server options of another cluster's gateway. Without an SNI its certificate is held against verifyhost alone. */
export function hopTls(name: string): string[] {
  return [
    `ssl ca-file ${files.gatewayCa} crt ${files.gatewayCertificate} verify required verifyhost ${name}`,
    // The probe page is asked for over HTTP/1.1. A gateway of an older version chooses HTTP/2 wherever it may.
    // A resumed TLS session could be one of the other SNI, and with it the other protocol (seen on 3.0).
    `sni var(${HTTP2}),concat(${name}) alpn h2,http/1.1 ws h1 no-ssl-reuse check-ssl check-sni ${name} check-alpn http/1.1`,
  ];
}

/** List of the gateway listener's certificate: the first line is for callers without an SNI. */
export function hopCertificates(): string {
  return (
    `${files.gatewayCertificate} [alpn http/1.1] none.gateway.invalid\n` +
    `${files.gatewayCertificate} [alpn h2,http/1.1] *.gateway.headgate\n`
  );
}
