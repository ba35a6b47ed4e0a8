import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { frame } from '../../agent/haproxy/render/grpc-check.ts';

/** Longer than any answer takes, shorter than HAProxy's own patience with a request. */
const PATIENCE_MS = 5_000;

/** Sends bytes (Latin-1), ends the sending side, and reads until the peer closes. */
export async function exchangeBytes(port: number, bytes: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`no end within ${PATIENCE_MS} ms`)));
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  // A peer that refuses may reset while we still write.
  let reset = '';
  socket.on('error', (error) => (reset = error.message));
  await once(socket, 'connect');
  socket.end(Buffer.from(bytes, 'latin1'));
  await once(socket, 'close');
  const text = Buffer.concat(chunks).toString('latin1');
  return reset === '' ? text : `${text}[${reset}]`;
}

/** HTTP/2 fields in order, pseudo-headers included: nothing about them is checked or put right. */
export type Fields = readonly (readonly [name: string, value: string])[];

export interface Http2Answer {
  readonly kind: 'answer' | 'reset' | 'closed';
  /** First byte of the answer's header block: 0x88 is an indexed `:status: 200` (RFC 7541, appendix A). */
  readonly first: number;
}

const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, goaway: 7 } as const;
const END_STREAM = 1;
const END_HEADERS = 4;

/** One request on a TLS connection of its own, written frame by frame. @param data DATA frames, the last of which ends the stream */
export async function exchangeHttp2(
  port: number,
  servername: string,
  fields: Fields,
  data: readonly string[] = [],
): Promise<Http2Answer> {
  const socket = connectTls({ port, host: '127.0.0.1', servername, ALPNProtocols: ['h2'], rejectUnauthorized: false });
  socket.setTimeout(PATIENCE_MS, () => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  const answered = new Promise<Http2Answer>((resolve) => {
    let buffered: Buffer = Buffer.alloc(0);
    socket.once('close', () => resolve({ kind: 'closed', first: 0 }));
    socket.on('data', (chunk: Buffer) => {
      buffered = Buffer.concat([buffered, chunk]);
      for (;;) {
        const length = buffered.length < 9 ? Infinity : buffered.readUIntBE(0, 3);
        if (buffered.length < 9 + length) return;
        const type = buffered[3];
        const first = buffered[9] ?? 0;
        buffered = buffered.subarray(9 + length);
        if (type === FRAME.headers) resolve({ kind: 'answer', first });
        if (type === FRAME.reset) resolve({ kind: 'reset', first: 0 });
        if (type === FRAME.goaway) resolve({ kind: 'closed', first: 0 });
      }
    });
  });
  const block = Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.of(0), text(name), text(value)])));
  const ends = data.length === 0 ? END_STREAM : 0;
  socket.write(
    Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(FRAME.settings, 0, 0, Buffer.alloc(0)),
      frame(FRAME.headers, END_HEADERS | ends, 1, block),
      ...data.map((part, i) =>
        frame(FRAME.data, i === data.length - 1 ? END_STREAM : 0, 1, Buffer.from(part, 'latin1')),
      ),
    ]),
  );
  const answer = await answered;
  socket.destroy();
  return answer;
}

/** A string literal without Huffman coding (RFC 7541, 5.2). */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  const prefix: number[] = [];
  if (bytes.length < 127) prefix.push(bytes.length);
  else {
    prefix.push(127);
    let rest = bytes.length - 127;
    for (; rest >= 128; rest >>= 7) prefix.push((rest & 127) | 128);
    prefix.push(rest);
  }
  return Buffer.concat([Buffer.from(prefix), bytes]);
}
