import { once } from 'node:events';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Echo } from './pods.ts';

export interface Ask {
  /** The Host header, or `:authority`, as it is sent. */
  readonly host: string;
  /** Path and query, as they are sent. */
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

type Question = Pick<Ask, 'host' | 'path'> & Partial<Ask>;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** What the pod says, where one answered with its echo. */
  readonly echo: Echo | undefined;
}

/** HTTP/1.1 without TLS over kept-alive connections. */
export class Http1 {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 });
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  async ask({ host, path, method = 'GET', headers = {}, body }: Question): Promise<Answer> {
    // Node gives some methods' bodies no length by itself.
    const length = body === undefined ? {} : { 'content-length': body.length };
    return await new Promise((resolve, reject) => {
      const call = request(
        {
          agent: this.#agent,
          host: '127.0.0.1',
          port: this.#port,
          method,
          path,
          headers: { ...headers, ...length, host },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.once('error', reject);
          response.once('end', () =>
            resolve(answer(response.statusCode ?? 0, response.headers, Buffer.concat(chunks))),
          );
        },
      );
      call.once('error', reject);
      call.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Sends bytes on a connection of its own and reads until the peer closes. */
export async function exchange(port: number, text: string): Promise<string> {
  const socket = connectTcp(port, '127.0.0.1');
  socket.write(text);
  let reply = '';
  for await (const chunk of socket) reply += String(chunk);
  return reply;
}

/** A TCP connection after an upgrade that the peer agreed to; `head` is its answer. */
export async function upgrade(port: number, host: string, path: string, key: string): Promise<[Socket, string]> {
  const socket = connectTcp(port, '127.0.0.1');
  socket.setNoDelay(true);
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  );
  let head = '';
  while (!head.includes('\r\n\r\n')) head += String(((await once(socket, 'data')) as [Buffer])[0]);
  return [socket, head];
}

export interface Handshake {
  readonly servername: string;
  readonly alpn?: readonly string[];
  /** Restricts what the client can verify, and so which kind of certificate it gets. */
  readonly sigalgs?: string;
  /** PEM of the authority to trust; without it anything is accepted. */
  readonly ca?: string;
  readonly maxVersion?: 'TLSv1.2';
}

export async function handshake(port: number, options: Handshake): Promise<TLSSocket> {
  const { servername, alpn = ['http/1.1'], ca, sigalgs, maxVersion } = options;
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    ...(servername === '' ? {} : { servername }),
    ALPNProtocols: [...alpn],
    rejectUnauthorized: ca !== undefined,
    ...(ca === undefined ? {} : { ca }),
    ...(sigalgs === undefined ? {} : { sigalgs }),
    ...(maxVersion === undefined ? {} : { maxVersion }),
  });
  await once(socket, 'secureConnect');
  return socket;
}

/** HTTP/2 over TLS, by ALPN. */
export class Http2 implements AsyncDisposable {
  readonly session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.session = session;
  }

  static async connect(port: number, options: Handshake): Promise<Http2> {
    const socket = await handshake(port, { ...options, alpn: ['h2'] });
    const session = connectHttp2(`https://${options.servername}:${port}`, { createConnection: () => socket });
    await once(session, 'remoteSettings');
    return new Http2(session);
  }

  async ask({ host, path, method = 'GET', headers = {}, body }: Question): Promise<Answer> {
    const stream = this.session.request(
      { ...headers, ':method': method, ':path': path, ':authority': host },
      { endStream: body === undefined },
    );
    if (body !== undefined) stream.end(body);
    const [received] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return answer(Number(received[constants.HTTP2_HEADER_STATUS]), received, Buffer.concat(chunks));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.session.destroy();
    await Promise.resolve();
  }
}

function answer(status: number, headers: IncomingHttpHeaders, body: Buffer): Answer {
  const isEcho = body.length > 0 && headers['content-type'] === 'application/json';
  return { status, headers, body, echo: isEcho ? (JSON.parse(body.toString('utf8')) as Echo) : undefined };
}
