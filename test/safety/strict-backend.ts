import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** A request as it stood on the wire, in Latin-1: a byte is a character. */
export interface SeenRequest {
  readonly method: string;
  readonly target: string;
  /** In order; names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  /** Lines behind the last chunk, which are no headers. */
  readonly trailers: readonly string[];
}

export interface StrictBackend extends AsyncDisposable {
  readonly port: number;
  /** What arrived since the last call, and what was wrong with it. */
  take(): { readonly requests: readonly SeenRequest[]; readonly faults: readonly string[] };
}

const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.[01]$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/;

/**
 * An HTTP/1.1 server that reads by RFC 9112 to the letter and calls everything a fault that two readers could take
 * differently, so that a proxy in front of it has nowhere to hide a second request. It answers 200 with the target
 * that it saw, and closes after a fault.
 */
export async function strictBackend(): Promise<StrictBackend> {
  let requests: SeenRequest[] = [];
  let faults: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let buffered = '';
    socket.on('data', (chunk: Buffer) => {
      buffered += chunk.toString('latin1');
      try {
        for (let read = readRequest(buffered); read !== undefined; read = readRequest(buffered)) {
          buffered = buffered.slice(read.end);
          requests.push(read.request);
          socket.write(answerTo(read.request));
        }
      } catch (error) {
        faults.push(`${(error as Error).message}: ${JSON.stringify(buffered.slice(0, 300))}`);
        socket.destroy();
      }
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    take() {
      const taken = { requests, faults };
      [requests, faults] = [[], []];
      return taken;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

export function valuesOf(request: SeenRequest, name: string): string[] {
  return request.headers.filter(([header]) => header === name).map(([, value]) => value);
}

function answerTo({ method, target }: SeenRequest): string {
  // A success would make a tunnel of it.
  if (method === 'CONNECT') return 'HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n';
  const body = method === 'HEAD' ? '' : target;
  return `HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${body}`;
}

/** @returns undefined where more must come. @throws Error at what is not beyond doubt. */
function readRequest(text: string): { readonly request: SeenRequest; readonly end: number } | undefined {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [line = '', ...fields] = text.slice(0, headEnd).split('\r\n');
  const [, method, target] = REQUEST_LINE.exec(line) ?? fail('request line');
  const headers = fields.map((field): [string, string] => {
    // Where a field ends is beyond doubt for every reader unless one of these stands in it.
    if (/[\r\n]/.test(field)) fail('line end in a field');
    const [, name, value] = FIELD.exec(field) ?? fail('header field');
    return [name?.toLowerCase() ?? '', value ?? ''];
  });
  const all = (name: string): string[] => headers.filter(([header]) => header === name).map(([, value]) => value);
  const [lengths, codings] = [all('content-length'), all('transfer-encoding')];
  if (all('host').length !== 1) fail('not one Host');
  if (lengths.length + codings.length > 1) fail('not one framing');
  if (lengths[0] !== undefined && !/^\d{1,15}$/.test(lengths[0])) fail('Content-Length');
  if (codings[0] !== undefined && codings[0].toLowerCase() !== 'chunked') fail('Transfer-Encoding');
  const start = headEnd + 4;
  const read = codings.length > 0 ? readChunks(text, start) : readLength(text, start, Number(lengths[0] ?? 0));
  if (read === undefined) return undefined;
  const { body, trailers, end } = read;
  return { request: { method: method ?? '', target: target ?? '', headers, body, trailers }, end };
}

interface Body {
  readonly body: string;
  readonly trailers: readonly string[];
  readonly end: number;
}

function readLength(text: string, start: number, length: number): Body | undefined {
  const end = start + length;
  return text.length < end ? undefined : { body: text.slice(start, end), trailers: [], end };
}

function readChunks(text: string, start: number): Body | undefined {
  let body = '';
  for (let at = start; ;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = text.slice(at, lineEnd);
    if (!/^[0-9A-Fa-f]{1,12}$/.test(size)) fail('chunk size');
    const length = Number.parseInt(size, 16);
    const dataEnd = lineEnd + 2 + length;
    if (length === 0) {
      const end = text.indexOf('\r\n\r\n', lineEnd);
      if (end < 0) return undefined;
      const trailers = text.slice(dataEnd, end).split('\r\n');
      if (!trailers.every((field) => field === '' || FIELD.test(field))) fail('trailer');
      return { body, trailers, end: end + 4 };
    }
    if (text.length < dataEnd + 2) return undefined;
    body += text.slice(lineEnd + 2, dataEnd);
    if (text.slice(dataEnd, dataEnd + 2) !== '\r\n') fail('chunk end');
    at = dataEnd + 2;
  }
}

function fail(what: string): never {
  throw new Error(what);
}
