/** Frame types and flags of HTTP/2 (RFC 9113, section 6). */
const DATA = 0;
const HEADERS = 1;
const SETTINGS = 4;
const END_STREAM = 1;
const END_HEADERS = 4;

/**
 * What a gRPC health check sends: HTTP/2 by prior knowledge, with a call of grpc.health.v1.Health/Check on its first
 * stream. HAProxy's own HTTP checks cannot send a body with zero bytes.
 * @param service ASCII, at most 256 characters; empty for the server as a whole.
 */
export function healthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const length = name.length < 128 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7];
  // HealthCheckRequest: field 1, a string.
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...length]), name]);
  const headers = Buffer.concat([
    field(':method', 'POST'),
    field(':scheme', 'http'),
    field(':path', '/grpc.health.v1.Health/Check'),
    field(':authority', 'localhost'),
    field('content-type', 'application/grpc'),
    field('te', 'trailers'),
  ]);
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(SETTINGS, 0, 0, Buffer.alloc(0)),
    frame(HEADERS, END_HEADERS, 1, headers),
    frame(DATA, END_STREAM, 1, prefixed(message)),
  ]);
}

/** HealthCheckResponse with status SERVING, as it stands in the answer's body. */
export const SERVING: Buffer = prefixed(Buffer.from([0x08, 0x01]));

/** A message as gRPC sends it: not compressed, its length before it. */
function prefixed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** A literal header field that is not indexed, nor Huffman-coded (RFC 7541, 6.2.2); both under 127 bytes. */
function field(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}

/** A frame of HTTP/2 (RFC 9113, 4.1). */
export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
