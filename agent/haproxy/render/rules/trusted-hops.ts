/** Proxies one behind the other whose word is taken; what stands further left is not looked at. */
const DEPTH = 5;
/** Patterns on one line: HAProxy takes 64 words. */
const PER_LINE = 32;

const FROM_HOP = '{ var(txn.hop) -m found }';
const NOT_FROM_HOP = '!{ var(txn.hop) -m found }';

/** Who the trusted hops are, as the ACL `trusted-hop` over `src`. */
export function hopAcl(ranges: readonly string[]): string[] {
  return Array.from(
    { length: Math.ceil(ranges.length / PER_LINE) },
    (_, i) => `acl trusted-hop src ${ranges.slice(i * PER_LINE, (i + 1) * PER_LINE).join(' ')}`,
  );
}

/** PROXY protocol from anybody else is a claim like any other. The pass-through front's socket has no address. */
export const onlyHops = 'tcp-request connection reject if { src -m found } !trusted-hop';

/**
 * Makes the client's address the right-most one in X-Forwarded-For that is no trusted hop's: from there on `src` is the
 * client for every rule, log line and hash. One that cannot be read ends the search, since it is what a trusted hop
 * saw: the hop is the client then. set-src is for the one request; the next on the connection begins anew.
 */
export const clientBehindHops = [
  'http-request set-var(txn.hop) src if trusted-hop',
  ...Array.from({ length: DEPTH }, (_, i) => i + 1).flatMap((n) => {
    const told = `{ var(txn.told${n}) -m found }`;
    const before = n === 1 ? '' : `{ var(txn.told${n - 1}) -m found } `;
    return [
      `http-request set-var(txn.told${n}) req.hdr_ip(x-forwarded-for,-${n}) if ${before}trusted-hop`,
      // IPv6 as it is written with a port, which hdr_ip does not read. The mask keeps all, and makes an address of text.
      `http-request set-var(txn.told${n}) req.hdr(x-forwarded-for,-${n}),bytes(1),field(1,]),ipmask(32,128) if ${before}trusted-hop !${told} { req.hdr(x-forwarded-for,-${n}) -m beg [ }`,
      `http-request set-src var(txn.told${n}) if ${told}`,
    ];
  }),
];

/**
 * `forwarding` for an entry with trusted hops: their X-Forwarded-For is kept and extended, their -Proto, -Host and
 * -Port kept. Forwarded (RFC 7239) is nobody's: two chains could tell two truths, and HAProxy 2.6 reads one of them.
 */
export const forwardingBehindHops = [
  `http-request del-header '^(x[-_](headgate|forwarded)|forwarded$|x[-_]real[-_]ip$)' -m reg if ${NOT_FROM_HOP}`,
  `http-request del-header '^(x[-_]headgate|x_forwarded|x-forwarded(?!-(for|proto|host|port)$)|forwarded$|x[-_]real[-_]ip$)' -m reg if ${FROM_HOP}`,
  `http-request add-header x-forwarded-for %[src] if ${NOT_FROM_HOP}`,
  // Readers that look at one line only find the whole chain in it.
  `http-request set-header x-forwarded-for "%[req.fhdr(x-forwarded-for)], %[var(txn.hop)]" if ${FROM_HOP} { req.fhdr_cnt(x-forwarded-for) eq 1 }`,
  `http-request add-header x-forwarded-for %[var(txn.hop)] if ${FROM_HOP} !{ req.fhdr_cnt(x-forwarded-for) eq 1 }`,
  'http-request add-header x-forwarded-proto %[ssl_fc,iif(https,http)] if !{ req.fhdr(x-forwarded-proto) -m found }',
  'http-request add-header x-forwarded-host %[req.fhdr(host)] if !{ req.fhdr(x-forwarded-host) -m found }',
  'http-request add-header x-forwarded-port %[dst_port] if !{ req.fhdr(x-forwarded-port) -m found }',
  'http-request set-var(txn.secure) bool(true) if { req.fhdr(x-forwarded-proto) -m str -i https }',
];

/** Whether the client speaks TLS, be it with a trusted hop; for cookies. */
export const secureBehindHops = 'var(txn.secure)';
