/** What an upgrade over HTTP/2 asked for (RFC 8441); over HTTP/1.1 nothing is to be known of it later. */
export const upgradeOverHttp2 = 'http-request set-var(txn.upgrade) req.fhdr(upgrade) if { fc_http_major 2 }';
/** Over HTTP/2 a 200 agrees to an upgrade (RFC 8441, section 5), which a backend that answers 200 has not done. */
export const declinedOverHttp2 = 'http-response set-status 502 if { var(txn.upgrade) -m found } { status 200:299 }';

/** What two readers could take differently is not for any backend to read. */
export const framing = [
  // HAProxy 2.6 passes "chunked," on, which other readers may not take for chunks.
  'http-request deny deny_status 400 if { req.fhdr(transfer-encoding) -m found } !{ req.fhdr(transfer-encoding) -m str -i chunked }',
  // Behind an upgrade to HTTP/2 requests would reach a backend that no rule here has seen; HAProxy 3.2 refuses it itself.
  'http-request del-header upgrade if { req.hdr(upgrade) -m str -i h2c }',
  // A proxy behind us would drop the headers that a client names here (RFC 9110, 7.6.1): ours among them.
  'http-request set-header connection upgrade if { req.fhdr(connection) -m found } { req.fhdr(upgrade) -m found }',
  'http-request del-header connection if !{ req.fhdr(upgrade) -m found }',
  upgradeOverHttp2,
];

/** Who the client is says this entry alone. CGI and WSGI make one name of "-" and "_". */
export const forwarding = [
  // One pass over the headers for all of them.
  "http-request del-header '^(x[-_](headgate|forwarded)|forwarded$|x[-_]real[-_]ip$)' -m reg",
  'http-request add-header x-forwarded-for %[src]',
  'http-request add-header x-forwarded-proto %[ssl_fc,iif(https,http)]',
  'http-request add-header x-forwarded-host %[req.fhdr(host)]',
  'http-request add-header x-forwarded-port %[dst_port]',
];

/** No backend speaks for us. */
export const answers = ['http-response del-header x-headgate- -m beg', declinedOverHttp2];
