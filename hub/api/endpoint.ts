import type { z } from 'zod';
import { HeadgateError } from '../../lib/errors.ts';
import type { Caller } from './caller.ts';
import type { Role } from './types.ts';

export interface ApiRequest<Body> {
  readonly caller: Caller;
  /** Values of the pattern's `:names`, decoded. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Body;
}

/** One row of the table of everything that the API does; what is not in the table is not found. */
export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Such as /v1/clusters/:name. */
  readonly pattern: string;
  readonly role: Role;
  /** Bytes that the request's body may have. */
  readonly maxBody: number;
  /** @returns what is answered as JSON. */
  readonly handle: (request: ApiRequest<unknown>) => unknown;
}

export function read(pattern: string, handle: (request: ApiRequest<undefined>) => unknown): Endpoint {
  return {
    method: 'GET',
    pattern,
    role: 'viewer',
    maxBody: 0,
    handle: (request) => handle({ ...request, body: undefined }),
  };
}

/** An endpoint that changes something; its body is checked by the schema before anything happens. */
export function write<Schema extends z.ZodType>(
  [method, pattern, role]: readonly [Endpoint['method'], string, Role],
  schema: Schema,
  handle: (request: ApiRequest<z.output<Schema>>) => unknown,
  maxBody = 64 * 1024,
): Endpoint {
  return {
    method,
    pattern,
    role,
    maxBody,
    handle: (request) => {
      const parsed = schema.safeParse(request.body);
      if (!parsed.success) {
        const issue = parsed.error.issues[0];
        throw new HeadgateError('HG1002', issue?.message ?? 'malformed', {
          object: 'request',
          field: issue?.path.join('.') ?? '',
          remedy: 'use the headgate program of this version',
        });
      }
      return handle({ ...request, body: parsed.data });
    },
  };
}

export type Match =
  | { readonly endpoint: Endpoint; readonly parameters: Readonly<Record<string, string>> }
  | { readonly allowed: readonly string[] };

/** Finds the row for a request, or the methods that its path does have (none: not found). */
export function matchEndpoint(table: readonly Endpoint[], method: string, path: string): Match {
  const allowed: string[] = [];
  for (const endpoint of table) {
    const parameters = matchPath(endpoint.pattern, path);
    if (parameters === undefined) continue;
    if (endpoint.method === method) return { endpoint, parameters };
    allowed.push(endpoint.method);
  }
  return { allowed };
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  if (wanted.length !== given.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? '';
    if (!part.startsWith(':')) {
      if (part !== value) return undefined;
      continue;
    }
    try {
      parameters[part.slice(1)] = decodeURIComponent(value);
    } catch {
      return undefined;
    }
  }
  return parameters;
}
