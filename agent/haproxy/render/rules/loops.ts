/** Entries that a request may pass, those of networks in front of us included. */
const MOST_ENTRIES = 8;

/**
 * An endpoint that leads back to an entry, be it another node's, would send a request round until connections run
 * out. CDN-Loop (RFC 8586) is the header for it: each entry adds itself, none takes it away. A client that claims
 * passes it did not make ends its own request only.
 */
export const loops = [
  `http-request return status 508 content-type text/plain string "request loop\\n" if { req.hdr_cnt(cdn-loop) ge ${MOST_ENTRIES} }`,
  'http-request add-header cdn-loop headgate',
];
