import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Server, createServer } from 'node:https';
import { type Address, formatAddress } from '../../lib/config/address.ts';
import { listen } from '../../lib/config/listen.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { TlsCredentials } from '../../lib/identity/tls-credentials.ts';
import { identifyCaller, requireRole } from './caller.ts';
import { type Endpoint, matchEndpoint } from './endpoint.ts';
import type { OperatorToken } from './operator-tokens.ts';
import type { ErrorBody } from './types.ts';

export interface ApiServerOptions {
  readonly address: Address;
  readonly fleet: string;
  readonly credentials: TlsCredentials;
  readonly tokens: readonly OperatorToken[];
  readonly endpoints: readonly Endpoint[];
  readonly log: Log;
}

export interface ApiServer extends AsyncDisposable {
  /** HOST:PORT with the real port. */
  readonly address: string;
  /** The hub's certificate was renewed; connections that stand keep the old one. */
  useCredentials(credentials: TlsCredentials): void;
}

/** Connections at once; far more than people and scripts need, few enough to stay in bounds. */
const MAX_CONNECTIONS = 512;

/**
 * Serves the API: JSON over HTTPS, TLS 1.3, every request with a credential that is checked before its body is
 * read.
 *
 * @throws HeadgateError HG2002
 */
export async function startApi(options: ApiServerOptions): Promise<ApiServer> {
  const server = createServer({
    ...contextOf(options.credentials),
    // A bearer token will do in place of a certificate, so the handshake lets callers without one through.
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    requestTimeout: 30_000,
    headersTimeout: 10_000,
    maxHeaderSize: 16 * 1024,
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void answer(options, request, response);
  });
  const address = await listen(server, options.address, 'the API');
  return {
    address: formatAddress(address),
    useCredentials: (credentials) => server.setSecureContext(contextOf(credentials)),
    [Symbol.asyncDispose]: async () => await close(server),
  };
}

function contextOf({ certificate, privateKey, ca }: TlsCredentials) {
  return { cert: certificate, key: privateKey, ca, minVersion: 'TLSv1.3' as const };
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}

async function answer(options: ApiServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const url = new URL(request.url ?? '/', 'https://hub');
    const caller = identifyCaller(request, options.fleet, options.tokens);
    const match = matchEndpoint(options.endpoints, request.method ?? '', url.pathname);
    if (!('endpoint' in match)) {
      const known = match.allowed.length > 0;
      if (known) response.setHeader('allow', match.allowed.join(', '));
      throw new HeadgateError('HG2007', known ? 'the path has no such method' : 'the API has no such path', {
        remedy: 'use a headgate program of the same version as the hub',
      });
    }
    const { endpoint, parameters } = match;
    requireRole(caller, endpoint.role);
    const body = endpoint.method === 'GET' ? undefined : await readJson(request, endpoint.maxBody);
    send(response, 200, await endpoint.handle({ caller, parameters, query: url.searchParams, body }));
  } catch (thrown) {
    fail(options.log, request, response, HeadgateError.from(thrown));
  }
}

/** @throws HeadgateError HG1001 no JSON, HG1002 too large */
async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      throw new HeadgateError('HG1002', `the request is larger than ${maxBytes} bytes`, {
        remedy: 'send it in several parts',
      });
    }
    chunks.push(chunk);
  }
  if (size === 0) return {};
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch (error) {
    throw new HeadgateError('HG1001', 'the request is not JSON', { cause: error });
  }
}

function send(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': body.length,
    'cache-control': 'no-store',
  });
  response.end(body);
}

function fail(log: Log, request: IncomingMessage, response: ServerResponse, error: HeadgateError): void {
  const status = statusOf(error);
  if (status >= 500) log.error('an API request failed', { path: request.url, error: error.chain() });
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  // What was not read of the body is not read any more.
  if (!request.complete) response.setHeader('connection', 'close');
  send(response, status, errorBody(error));
}

/** What a caller learns: never the causes, which may name what is inside. */
export function errorBody(error: HeadgateError): ErrorBody {
  return {
    code: error.code,
    message: error.code === 'HG9001' ? 'the hub made a mistake; its log says which' : error.message,
    ...(error.object === undefined ? {} : { object: error.object }),
    ...(error.field === undefined ? {} : { field: error.field }),
    ...(error.place === undefined ? {} : { place: error.place }),
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
  };
}

function statusOf(error: HeadgateError): number {
  switch (error.code) {
    case 'HG2005':
      return 401;
    case 'HG2006':
      return 403;
    case 'HG2007':
      return 404;
    case 'HG2008':
    case 'HG6001':
      return 409;
    case 'HG4001':
    case 'HG4002':
      return 503;
    default:
      return error.blame === 'user' ? 400 : 500;
  }
}
