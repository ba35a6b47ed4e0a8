import { hash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

/** RFC 6455, section 1.3. */
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export const SLOW_PATH = '/slow';

export interface Upstream extends AsyncDisposable {
  readonly port: number;
  /** Requests so far. */
  readonly served: number;
  /** As a pod that is told to end: no new connections, idle ones closed, the others after their answer. */
  retire(): void;
}

/** A pod: 200 to everything, an echo to any upgrade, and a download that goes on until `end` tells of an `abort`. */
export async function upstreamPod(end: EventTarget): Promise<Upstream> {
  const sockets = new Set<Socket>();
  let served = 0;
  const server = createServer((request, response) => {
    served++;
    if (!server.listening) response.setHeader('connection', 'close');
    if (request.url !== SLOW_PATH) {
      response.end('ok');
      return;
    }
    const writing = setInterval(() => response.write('x'.repeat(1_000)), 50);
    const finish = (): void => {
      clearInterval(writing);
      response.end('end');
    };
    end.addEventListener('abort', finish, { once: true });
  });
  // Longer than HAProxy keeps idle connections, so that the pod is never the one to close.
  server.keepAliveTimeout = 120_000;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket: Socket) => {
    const accept = hash('sha1', `${request.headers['sec-websocket-key'] ?? ''}${WEBSOCKET_GUID}`, 'base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get served() {
      return served;
    },
    retire() {
      server.close();
      server.closeIdleConnections();
    },
    async [Symbol.asyncDispose]() {
      const closed = server.listening ? once(server, 'close') : undefined;
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** An upgraded connection that sends and expects its echo all the time. */
export class EchoStream implements Disposable {
  readonly #socket: Socket;
  readonly #pinging: NodeJS.Timeout;
  sent = 0;
  back = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => (this.back += chunk.length));
    this.#pinging = setInterval(() => {
      if (!socket.writable) return;
      socket.write('p');
      this.sent++;
    }, 20);
  }

  static async open(port: number, host: string): Promise<EchoStream> {
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    let head = '';
    while (!head.includes('\r\n\r\n')) head += String(((await once(socket, 'data')) as [Buffer])[0]);
    if (!head.startsWith('HTTP/1.1 101')) throw new Error(head);
    return new EchoStream(socket);
  }

  /** Waits for the last echo. @returns whether every byte came back on the one connection. */
  async finish(): Promise<boolean> {
    clearInterval(this.#pinging);
    while (this.back < this.sent && !this.#socket.closed) {
      await Promise.race([once(this.#socket, 'data'), once(this.#socket, 'close')]);
    }
    this[Symbol.dispose]();
    return this.sent > 0 && this.back === this.sent;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#pinging);
    this.#socket.destroy();
  }
}

/** Starts the slow download. @returns its body when it ended as it should. */
export function download(port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = get({ host: '127.0.0.1', port, path: SLOW_PATH, agent: false, headers: { host } });
    outgoing.once('error', reject);
    outgoing.once('response', (answer: IncomingMessage) => {
      let body = '';
      answer.on('data', (chunk: Buffer) => (body += chunk.toString()));
      answer.once('error', reject);
      answer.once('end', () => resolve(body));
    });
  });
}
