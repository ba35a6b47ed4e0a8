import { hash } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** What every pod answers: who it is and what reached it. */
export interface Echo {
  readonly pod: string;
  readonly method: string;
  readonly host: string;
  /** Path and query as the pod got them. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Bytes of the request's body, and their SHA-256. */
  readonly received: number;
  readonly digest: string;
}

export interface Pod {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** Requests for a path, and their query, that have begun and not ended. */
  busy(url: string): number;
  /** As a crash would: no listener, no connection. */
  kill(): Promise<void>;
}

/** Asks a pod for a body of so many bytes instead of its echo. */
export const DOWNLOAD = '/download/';

/** A real HTTP server on loopback that echoes; it also takes any upgrade and sends back what it gets. */
export async function startPod(name: string, address: '127.0.0.1' | '::1' = '127.0.0.1'): Promise<Pod> {
  const sockets = new Set<Socket>();
  const busy = new Map<string, number>();
  const server = echoServer(name);
  server.on('request', ({ url = '' }: IncomingMessage, response: ServerResponse) => {
    busy.set(url, (busy.get(url) ?? 0) + 1);
    response.once('close', () => busy.set(url, (busy.get(url) ?? 0) - 1));
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await once(server.listen(0, address), 'listening');
  return {
    name,
    address,
    port: (server.address() as AddressInfo).port,
    busy: (url) => busy.get(url) ?? 0,
    kill: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function echoServer(pod: string): Server {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      if (url.startsWith(DOWNLOAD)) {
        response.end(Buffer.alloc(Number(url.slice(DOWNLOAD.length)), 'x'));
        return;
      }
      const body = Buffer.concat(chunks);
      const host = headers.host ?? '';
      const digest = hash('sha256', body, 'hex');
      const echo: Echo = { pod, method, host, url, headers, received: body.length, digest };
      response.writeHead(200, { 'content-type': 'application/json', 'x-headgate-secret': 'of the pod' });
      response.end(JSON.stringify(echo));
    });
  });
  // Longer than HAProxy keeps idle connections, so that the pod is never the one to close.
  server.keepAliveTimeout = 120_000;
  server.on('upgrade', (request, socket: Socket) => {
    const accept = hash('sha1', `${request.headers['sec-websocket-key'] ?? ''}${WEBSOCKET_GUID}`, 'base64');
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\nX-Pod: ${pod}\r\n\r\n`,
    );
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  return server;
}

/** RFC 6455, section 1.3. */
export const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
