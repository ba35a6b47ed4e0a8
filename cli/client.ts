import { request } from 'node:https';
import { type PeerCertificate, checkServerIdentity } from 'node:tls';
import type { ErrorBody } from '../hub/api/types.ts';
import { type Code, HeadgateError, codes } from '../lib/errors.ts';
import type { HubContext } from '../lib/config/client-config.ts';
import { loadContext } from './config.ts';
import type { Globals } from './globals.ts';

/** Milliseconds that the hub may take for one answer. */
const DEADLINE = 15_000;
/** Bytes of the largest answer: every route of a large fleet. */
const MAX_ANSWER = 256 * 1024 * 1024;

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** The hub's API as the CLI uses it. Errors are the hub's own, or HG3001 where it cannot be reached. */
export interface HubClient {
  readonly server: string;
  call<T>(method: Method, path: string, options?: CallOptions): Promise<T>;
}

export interface CallOptions {
  readonly query?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: unknown;
}

export async function connectHub(globals: Globals): Promise<HubClient> {
  const context = await loadContext(globals);
  return {
    server: context.server,
    call: async <T>(method: Method, path: string, options: CallOptions = {}) =>
      (await exchange(context, method, path, options)) as T,
  };
}

/** Joins parts of a path, each escaped. */
export function pathOf(...parts: readonly string[]): string {
  return `/v1/${parts.map(encodeURIComponent).join('/')}`;
}

async function exchange(context: HubContext, method: Method, path: string, options: CallOptions): Promise<unknown> {
  const url = new URL(path, context.server);
  for (const [name, value] of Object.entries(options.query ?? {})) {
    for (const one of typeof value === 'string' ? [value] : (value ?? [])) url.searchParams.append(name, one);
  }
  const body = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
  const { status, text } = await send(context, method, url, body);
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (error) {
    throw new HeadgateError('HG3006', `${context.server} did not answer with JSON (status ${status})`, {
      remedy: 'check that the server of the context is a Headgate hub',
      cause: error,
    });
  }
  if (status >= 200 && status < 300) return answer;
  throw remoteError(answer as Partial<ErrorBody>, status);
}

export function remoteError(body: Partial<ErrorBody>, status?: number): HeadgateError {
  const code: Code = body.code !== undefined && Object.hasOwn(codes, body.code) ? (body.code as Code) : 'HG9001';
  return new HeadgateError(code, body.message ?? `the hub answered with status ${status ?? 0}`, {
    ...(body.object === undefined ? {} : { object: body.object }),
    ...(body.field === undefined ? {} : { field: body.field }),
    ...(body.place === undefined ? {} : { place: body.place }),
    ...(body.remedy === undefined ? {} : { remedy: body.remedy }),
  });
}

async function send(
  context: HubContext,
  method: Method,
  url: URL,
  body: Buffer | undefined,
): Promise<{ readonly status: number; readonly text: string }> {
  return await new Promise((resolve, reject) => {
    const call = request(
      url,
      {
        method,
        ca: context.ca,
        ...(context.certificate === undefined ? {} : { cert: context.certificate, key: context.key }),
        minVersion: 'TLSv1.3',
        checkServerIdentity: isHub,
        headers: {
          accept: 'application/json',
          ...(context.token === undefined ? {} : { authorization: `Bearer ${context.token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length }),
        },
        signal: AbortSignal.timeout(DEADLINE),
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_ANSWER) response.destroy(new Error('the answer is too large'));
          chunks.push(chunk);
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
        response.on('error', (error) => reject(unreachable(context, error)));
      },
    );
    call.on('error', (error) => reject(unreachable(context, error)));
    call.end(body);
  });
}

/**
 * The fleet's CA signs hubs, agents and operators alike, so the chain alone does not make a hub: its URI SAN
 * has to say so. A certificate that names the host the usual way (a proxy's, say) will do too.
 */
function isHub(host: string, certificate: PeerCertificate): Error | undefined {
  const names = (certificate.subjectaltname ?? '').split(', ');
  if (names.some((name) => /^URI:spiffe:\/\/[a-z0-9-]+\/hub\/[a-z0-9-]+$/.test(name))) return undefined;
  return checkServerIdentity(host, certificate);
}

function unreachable(context: HubContext, error: Error): HeadgateError {
  const code = 'code' in error ? String(error.code) : '';
  if (code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EHOSTUNREACH' || code === 'ECONNRESET') {
    return new HeadgateError('HG3001', `the hub at ${context.server} is not reachable (${code})`, {
      remedy: 'start it, or name another with --config or --context',
      cause: error,
    });
  }
  if (error.name === 'AbortError' || error.name === 'TimeoutError' || code === 'ABORT_ERR') {
    return new HeadgateError('HG3001', `the hub at ${context.server} did not answer within ${DEADLINE / 1000} s`, {
      remedy: 'see its /readyz?verbose',
      cause: error,
    });
  }
  return new HeadgateError('HG2005', `no trusted connection to the hub at ${context.server}: ${error.message}`, {
    remedy: 'copy admin.yaml from the data folder of the hub again',
    cause: error,
  });
}
