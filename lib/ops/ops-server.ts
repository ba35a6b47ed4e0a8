import { createServer, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { type Address, formatAddress } from '../config/address.ts';
import { listen } from '../config/listen.ts';
import { HeadgateError } from '../errors.ts';
import type { Log } from '../log.ts';
import { printable } from '../printable.ts';

export interface ReadinessCheck {
  /** RFC 1123 label; also the path under /readyz. */
  readonly name: string;
  /** @returns undefined when ready, else why not. */
  readonly check: () => string | undefined | Promise<string | undefined>;
  /** What to know while it is ready, for example what went wrong and was mended; empty when nothing did. */
  readonly note?: () => string;
}

export interface OpsOptions {
  readonly address: Address;
  readonly registry: Registry;
  readonly checks: readonly ReadinessCheck[];
  /** Exposition text to append to the registry's own, for example what HAProxy counts. */
  readonly more?: () => Promise<string>;
  readonly log: Log;
}

export interface OpsServer extends AsyncDisposable {
  /** HOST:PORT with the real port. */
  readonly address: string;
}

/**
 * Serves /livez, /readyz (?verbose, /readyz/<check>), /healthz (as /readyz) and /metrics over plain HTTP.
 * /livez answers whenever the event loop runs; it never depends on a store, a hub or HAProxy.
 * @throws HeadgateError HG2002
 */
export async function startOps(options: OpsOptions): Promise<OpsServer> {
  const server = createServer((request, response) => {
    answer(options, request.method ?? 'GET', request.url ?? '/', response).catch((error: unknown) => {
      options.log.warn('ops request failed', { error });
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  const address = await listen(server, options.address, 'ops');
  return {
    address: formatAddress(address),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(options: OpsOptions, method: string, target: string, response: ServerResponse): Promise<void> {
  if (method !== 'GET' && method !== 'HEAD') return text(response, 405, 'only GET and HEAD\n');
  const url = new URL(target, 'http://ops');
  const [, room, name] = url.pathname.split('/');
  switch (room) {
    case 'livez':
      return text(response, 200, 'ok\n');
    case 'readyz':
    case 'healthz':
      return await readiness(options.checks, name, url.searchParams.has('verbose'), response);
    case 'metrics': {
      if (name !== undefined) break;
      // prom-client writes Nan, which the format does not know.
      const own = (await options.registry.metrics()).replaceAll(/ Nan$/gm, ' NaN');
      const more = await others(options);
      return text(response, 200, `${own}${more}`, options.registry.contentType);
    }
    default:
  }
  return text(response, 404, 'not found: try /livez, /readyz?verbose, /metrics\n');
}

async function readiness(
  checks: readonly ReadinessCheck[],
  only: string | undefined,
  verbose: boolean,
  response: ServerResponse,
): Promise<void> {
  const asked = only === undefined ? checks : checks.filter((check) => check.name === only);
  if (only !== undefined && asked.length === 0) return text(response, 404, 'no such check\n');
  const results = await Promise.all(
    asked.map(async (one) => ({ name: one.name, why: await reason(one), note: printable(one.note?.() ?? '') })),
  );
  const failed = results.filter((result) => result.why !== undefined);
  const lines = results.map(({ name, why, note }) =>
    why === undefined ? `[+]${name} ok${note === '' ? '' : `: ${note}`}` : `[-]${name} failed: ${why}`,
  );
  const end = failed.length === 0 ? 'ok' : 'not ready';
  const shown = verbose || failed.length > 0 ? [...lines, end] : [end];
  return text(response, failed.length === 0 ? 200 : 503, `${shown.join('\n')}\n`);
}

/** What others count is left out while they cannot be asked. */
async function others({ more, log }: OpsOptions): Promise<string> {
  try {
    return (await more?.()) ?? '';
  } catch (error) {
    log.warn('metrics without those of others', { error });
    return '';
  }
}

/** Why a check fails, on one line; one that throws has failed. */
async function reason({ check }: ReadinessCheck): Promise<string | undefined> {
  try {
    const why = await check();
    return why === undefined ? undefined : printable(why);
  } catch (error) {
    return HeadgateError.from(error).line();
  }
}

function text(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(body);
}
