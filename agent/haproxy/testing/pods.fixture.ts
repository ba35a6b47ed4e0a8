import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createSecureServer, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import type { Resource } from '../../../lib/sync/index.ts';
import type { BackendSettings } from '../../../proto/gen/headgate/v1/configured.ts';
import { backend, endpoints, host } from './resources.fixture.ts';

export type Settings = Parameters<typeof BackendSettings.create>[0];

/** Endpoints that behave as a test says, and the resources that make services of them. */
export class Pods implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();

  /** One HTTP/1.1 endpoint. @returns its port. */
  async http(listener: RequestListener): Promise<number> {
    const server = createServer(listener);
    this.#stack.defer(() => server.closeAllConnections());
    return await this.#listen(server);
  }

  /** One that speaks HTTP/2 without TLS and answers with the version it was spoken to in. */
  async h2c(): Promise<number> {
    const server = createHttp2Server((request, response) => void response.end(`HTTP/${request.httpVersion}`));
    const sessions = new Set<{ destroy(): void }>();
    server.on('session', (session) => sessions.add(session));
    this.#stack.defer(() => {
      for (const session of sessions) session.destroy();
    });
    return await this.#listen(server);
  }

  /** One that speaks TLS, HTTP/2 and HTTP/1.1, and answers with the SNI and the version. */
  async tls(leaf: { readonly certificate: string; readonly key: string }): Promise<number> {
    const server = createSecureServer(
      { cert: leaf.certificate, key: leaf.key, allowHTTP1: true },
      (request, response) => {
        const { servername } = request.socket as { servername?: string };
        response.end(`${String(servername)} HTTP/${request.httpVersion}`);
      },
    );
    const sockets = new Set<{ destroy(): void }>();
    server.on('secureConnection', (socket) => sockets.add(socket));
    this.#stack.defer(() => {
      for (const socket of sockets) socket.destroy();
    });
    return await this.#listen(server);
  }

  /** One that tells what a connection begins with, and says goodbye. */
  async tcp(onBytes: (bytes: Buffer) => void): Promise<number> {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes) => {
        onBytes(bytes);
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
      });
    });
    return await this.#listen(server);
  }

  /** One with a gRPC health service. @param status 1: serving, 2: not. */
  async grpc(status: number, asked: string[] = []): Promise<number> {
    const bytes = { serialize: (value: Buffer) => value, deserialize: (value: Buffer) => value };
    const server = new GrpcServer();
    server.addService(
      {
        Check: {
          path: '/grpc.health.v1.Health/Check',
          requestStream: false,
          responseStream: false,
          requestSerialize: bytes.serialize,
          requestDeserialize: bytes.deserialize,
          responseSerialize: bytes.serialize,
          responseDeserialize: bytes.deserialize,
        },
      },
      {
        Check: (call: { request: Buffer }, callback: (error: null, value: Buffer) => void) => {
          asked.push(call.request.subarray(2).toString());
          callback(null, Buffer.from([8, status]));
        },
      },
    );
    this.#stack.defer(() => server.forceShutdown());
    return await new Promise((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      ),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #listen(server: Server): Promise<number> {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    this.#stack.defer(() => void server.close());
    return (server.address() as AddressInfo).port;
  }
}

/** Host `<name>.example` served by one service, its endpoints treated so. */
export function treated(name: string, settings: Settings): Resource[] {
  return [
    backend(`shop/${name}/80`),
    host(`${name}.example`, [{ path: '/', at: { eu: `shop/${name}/80` }, settings }]),
  ];
}

export function slices(name: string, ports: readonly number[]): Resource[] {
  return ports.map((port, i) => endpoints(`shop/${name}`, port, ['127.0.0.1'], [], `slice${i}`));
}
