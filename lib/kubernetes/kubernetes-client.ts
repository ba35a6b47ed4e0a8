import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { HeadgateError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { ApiError, apiError, type Asked } from './api-error.ts';
import { openCredentials, type Credentials } from './credentials.ts';
import { readJson, readLines } from './json-lines.ts';
import type { KubernetesMetrics } from './metrics.ts';
import { Quiet } from './quiet.ts';
import { kubernetesObject, pathOf, type ApiResource, type KubernetesObject, type ObjectName } from './resource.ts';
import { Sessions, unreachable, type Answer } from './sessions.ts';

export interface ListOptions {
  /** All of them when empty or absent. */
  readonly namespace?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly limit?: number | undefined;
  /** Of the page before. */
  readonly continue?: string | undefined;
}

export interface ListPage {
  /** Of the whole list, the same on every page. */
  readonly resourceVersion: string;
  /** Empty on the last page. */
  readonly continue: string;
  /** Unchecked. */
  readonly items: readonly unknown[];
}

export interface WatchOptions extends Pick<ListOptions, 'namespace' | 'fieldSelector' | 'labelSelector'> {
  readonly resourceVersion: string;
  /** Milliseconds without a byte after which the watch counts as dead; must lie above the bookmarks' minute. */
  readonly idleMs?: number;
}

export type WatchEvent =
  /** `object` is unchecked, except that it has a name. */
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubernetesObject }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export interface ApplyOptions {
  readonly fieldManager: string;
  /** Takes over fields that another manager owns. */
  readonly force?: boolean;
  readonly subresource?: 'status';
}

/** Talks to one API server. Every failure is a HeadgateError; an answer that is no success is an ApiError. */
export interface KubernetesClient extends AsyncDisposable {
  /** `https://HOST:PORT` */
  readonly server: string;
  /** Told by the client, and by whoever follows kinds with it. */
  readonly metrics: KubernetesMetrics | undefined;
  /** Plurals of the kinds that a group has in a version; none where the group is not there. */
  served(group: string, version: string, signal: AbortSignal): Promise<ReadonlySet<string>>;
  get(resource: ApiResource, name: ObjectName, signal: AbortSignal): Promise<KubernetesObject>;
  list(resource: ApiResource, options: ListOptions, signal: AbortSignal): Promise<ListPage>;
  /**
   * What came together, together. Ends when the server ends it in order; throws when it breaks off. An ERROR in the
   * stream is an ApiError.
   */
  watch(resource: ApiResource, options: WatchOptions, signal: AbortSignal): AsyncIterable<readonly WatchEvent[]>;
  create(resource: ApiResource, object: KubernetesObject, signal: AbortSignal): Promise<KubernetesObject>;
  /** Refused with 409 where the object's resourceVersion is not the current one. */
  replace(resource: ApiResource, object: KubernetesObject, signal: AbortSignal): Promise<KubernetesObject>;
  delete(resource: ApiResource, name: ObjectName, signal: AbortSignal): Promise<void>;
  /** Server-side apply of the fields given. */
  apply(
    resource: ApiResource,
    object: KubernetesObject,
    options: ApplyOptions,
    signal: AbortSignal,
  ): Promise<KubernetesObject>;
}

export interface KubernetesClientOptions {
  /** Of a kubeconfig; without it that of the cluster this runs in, then that of KUBECONFIG. */
  readonly kubeconfig?: string | undefined;
  readonly clock: Clock;
  readonly metrics?: KubernetesMetrics | undefined;
}

/** @throws HeadgateError HG2001, HG2003, HG1002 where it cannot be told whom to ask; nothing is asked yet */
export async function openKubernetesClient(options: KubernetesClientOptions): Promise<KubernetesClient> {
  return new Http2Client(await openCredentials(options.kubeconfig, options.clock), options);
}

/** Milliseconds for an answer, and for the first of a watch. */
const ANSWER_MS = 30_000;
/** A watch hears a bookmark about every minute. */
const IDLE_MS = 90_000;

const listShape = z.object({
  metadata: z.object({ resourceVersion: z.string().min(1), continue: z.string().default('') }),
  items: z.array(z.unknown()).nullable(),
});

const groupShape = z.object({ resources: z.array(z.object({ name: z.string() })) });

const eventShape = z.object({
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: z.unknown(),
});

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

interface Call extends Asked {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly query?: Query;
  readonly body?: object;
  readonly contentType?: string;
}

class Http2Client implements KubernetesClient {
  readonly server: string;
  readonly metrics: KubernetesMetrics | undefined;
  readonly #base: string;
  readonly #credentials: Credentials;
  readonly #sessions: Sessions;
  readonly #clock: Clock;

  constructor(credentials: Credentials, { clock, metrics }: KubernetesClientOptions) {
    this.server = credentials.server;
    this.#base = new URL(credentials.server).pathname.replace(/\/$/, '');
    this.#credentials = credentials;
    this.#sessions = new Sessions(credentials, clock);
    this.#clock = clock;
    this.metrics = metrics;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sessions[Symbol.asyncDispose]();
  }

  async served(group: string, version: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
    // The path of a group is that of a kind without its last part.
    const resource = { group, version, plural: '', kind: 'APIResourceList', namespaced: false };
    try {
      const parsed = groupShape.parse(await this.#call({ verb: 'get', method: 'GET', resource }, signal));
      return new Set(parsed.resources.map(({ name }) => name));
    } catch (thrown) {
      if (thrown instanceof ApiError && thrown.status === 404) return new Set();
      throw thrown;
    }
  }

  async get(resource: ApiResource, name: ObjectName, signal: AbortSignal): Promise<KubernetesObject> {
    return kubernetesObject(await this.#call({ verb: 'get', method: 'GET', resource, name }, signal));
  }

  async list(resource: ApiResource, options: ListOptions, signal: AbortSignal): Promise<ListPage> {
    const { namespace, ...query } = options;
    const call: Call = { verb: 'list', method: 'GET', resource, name: { namespace }, query };
    const parsed = listShape.safeParse(await this.#call(call, signal));
    if (!parsed.success) throw unexpected('an answer is no list');
    const { metadata, items } = parsed.data;
    return { ...metadata, items: items ?? [] };
  }

  async *watch(
    resource: ApiResource,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<readonly WatchEvent[]> {
    const { namespace, idleMs = IDLE_MS, ...selection } = options;
    const query = { ...selection, watch: true, allowWatchBookmarks: true };
    const call: Call = { verb: 'watch', method: 'GET', resource, name: { namespace }, query };
    using quiet = new Quiet(this.#clock, idleMs);
    const { stream } = await this.#answer(call, AbortSignal.any([signal, quiet.signal]));
    try {
      for await (const lines of readLines(stream)) {
        quiet.heard();
        yield lines.map((line) => watchEvent(call, line));
      }
      if (quiet.signal.aborted) throw quiet.signal.reason;
      signal.throwIfAborted();
    } catch (thrown) {
      quiet.signal.throwIfAborted();
      signal.throwIfAborted();
      throw unreachable(this.server, thrown);
    } finally {
      stream.destroy();
    }
  }

  async create(resource: ApiResource, object: KubernetesObject, signal: AbortSignal): Promise<KubernetesObject> {
    const name = { namespace: object.metadata.namespace };
    const call: Call = { verb: 'create', method: 'POST', resource, name, body: typed(resource, object) };
    return kubernetesObject(await this.#call(call, signal));
  }

  async replace(resource: ApiResource, object: KubernetesObject, signal: AbortSignal): Promise<KubernetesObject> {
    const call: Call = {
      verb: 'update',
      method: 'PUT',
      resource,
      name: object.metadata,
      body: typed(resource, object),
    };
    return kubernetesObject(await this.#call(call, signal));
  }

  async delete(resource: ApiResource, name: ObjectName, signal: AbortSignal): Promise<void> {
    await this.#call({ verb: 'delete', method: 'DELETE', resource, name }, signal);
  }

  async apply(
    resource: ApiResource,
    object: KubernetesObject,
    { fieldManager, force, subresource }: ApplyOptions,
    signal: AbortSignal,
  ): Promise<KubernetesObject> {
    const call: Call = {
      verb: 'patch',
      method: 'PATCH',
      resource,
      name: object.metadata,
      subresource,
      query: { fieldManager, force },
      // JSON is YAML.
      contentType: 'application/apply-patch+yaml',
      body: typed(resource, object),
    };
    return kubernetesObject(await this.#call(call, signal));
  }

  async #call(call: Call, signal: AbortSignal): Promise<unknown> {
    using quiet = new Quiet(this.#clock, ANSWER_MS);
    const either = AbortSignal.any([signal, quiet.signal]);
    const { stream } = await this.#answer(call, either);
    try {
      return await readJson(stream);
    } catch (thrown) {
      either.throwIfAborted();
      throw unreachable(this.server, thrown);
    } finally {
      stream.destroy();
    }
  }

  /** An answer that is a success. Credentials that a server does not accept may have been renewed meanwhile. */
  async #answer(call: Call, signal: AbortSignal): Promise<Answer> {
    const first = await this.#ask(call, signal);
    if (first.status < 300) return first;
    if (first.status !== 401) throw await this.#refusal(call, first);
    first.stream.destroy();
    this.#credentials.refresh();
    const second = await this.#ask(call, signal);
    if (second.status < 300) return second;
    throw await this.#refusal(call, second);
  }

  async #refusal(call: Call, { status, headers, stream }: Answer): Promise<HeadgateError> {
    const retryAfter = headers['retry-after'];
    let body: unknown;
    try {
      body = await readJson(stream);
    } catch {
      // Filters in front of the API answer in plain text.
    }
    return apiError(call, body, status, typeof retryAfter === 'string' ? retryAfter : undefined);
  }

  async #ask(
    { verb, method, resource, name = {}, subresource, query = {}, body, contentType }: Call,
    signal: AbortSignal,
  ) {
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
    const found = search.size === 0 ? '' : `?${search.toString()}`;
    try {
      const authorization = await this.#credentials.authorization();
      const answer = await this.#sessions.ask(
        {
          method,
          path: `${this.#base}${pathOf(resource, verb === 'create' ? { namespace: name.namespace } : name, subresource)}${found}`,
          headers: {
            accept: 'application/json',
            'user-agent': `headgate/${VERSION}`,
            ...(authorization === undefined ? {} : { authorization }),
            ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }),
          },
          body: body === undefined ? undefined : JSON.stringify(body),
        },
        signal,
      );
      this.metrics?.requested(verb, answer.status);
      return answer;
    } catch (thrown) {
      this.metrics?.requested(verb, 0);
      throw thrown;
    }
  }
}

function watchEvent(call: Call, line: unknown): WatchEvent {
  const parsed = eventShape.safeParse(line);
  if (!parsed.success) throw unexpected('a line of a watch is no event');
  const { type, object } = parsed.data;
  if (type === 'ERROR') throw apiError(call, object, 500);
  if (type !== 'BOOKMARK') return { type, object: kubernetesObject(object) };
  // A bookmark's object has no name.
  const version = bookmarkShape.safeParse(object);
  if (!version.success) throw unexpected('a bookmark has no version');
  return { type, resourceVersion: version.data.metadata.resourceVersion };
}

const bookmarkShape = z.object({ metadata: z.object({ resourceVersion: z.string().min(1) }) });

function typed({ group, version, kind }: ApiResource, object: KubernetesObject): object {
  return { ...object, apiVersion: group === '' ? version : `${group}/${version}`, kind };
}

function unexpected(what: string): HeadgateError {
  return new HeadgateError('HG3006', `the API server's answer breaks the protocol: ${what}`, {
    remedy: 'check that the address is a Kubernetes API server',
  });
}
