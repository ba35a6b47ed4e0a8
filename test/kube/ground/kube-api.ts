import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** What names an object; every object is one. */
export interface KubeRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export interface KubeObject extends KubeRef {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly deletionTimestamp?: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

export interface KubeList<T extends KubeObject> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly T[];
}

export interface KubeWatchEvent<T extends KubeObject> {
  /** An ERROR's object is a Status. */
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

export interface KubeStatus {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
}

/** An answer of 400 or more: `status.code` 404, 409, 410, 422 and so on. */
export class KubeApiError extends Error {
  readonly status: KubeStatus;

  constructor(what: string, status: KubeStatus) {
    super(`${what}: ${status.code} ${status.reason}: ${status.message}`);
    this.status = status;
  }
}

export interface KubeRequest {
  readonly body?: unknown;
  /** `application/json` where absent. */
  readonly contentType?: string;
  readonly signal?: AbortSignal;
}

export interface KubeListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface KubeWatchOptions extends KubeListOptions {
  /** From the start of the resource's history, with what there is as ADDED, where absent. */
  readonly resourceVersion?: string;
  /** What there is comes first, as ADDED, and a BOOKMARK ends it. */
  readonly sendInitialEvents?: true;
  readonly signal?: AbortSignal;
}

interface Resource {
  readonly kind: string;
  /** Plural; `pods/status` for a subresource. */
  readonly name: string;
  readonly namespaced: boolean;
}

/** Milliseconds. */
const KIND_SERVED_WITHIN = 10_000;

/**
 * An API server's JSON interface with no opinion of its own: no cache of objects, no retry, no type that would hide a
 * wrong answer. It is what tests judge by, so it shares nothing with Headgate's client.
 */
export class KubeApi implements Disposable {
  readonly #server: string;
  readonly #token: string | undefined;
  readonly #agent: Agent;
  readonly #resources = new Map<string, readonly Resource[]>();

  /** Nobody in particular where there is no token. */
  constructor(options: { readonly server: string; readonly ca: string; readonly token: string | undefined }) {
    this.#server = options.server;
    this.#token = options.token;
    this.#agent = new Agent({ ca: options.ca, keepAlive: true, maxSockets: 64 });
  }

  /** One request to a path as it stands, whatever the answer; rejects only where there is none. */
  async request(method: string, path: string, options: KubeRequest = {}): Promise<{ status: number; body: unknown }> {
    const answer = await this.#open(method, path, options);
    const isJson = answer.headers['content-type']?.startsWith('application/json') === true;
    if (isJson) return { status: answer.statusCode ?? 0, body: await json(answer) };
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    return { status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() };
  }

  /** @throws KubeApiError when the status is 400 or more. */
  async call<T>(method: string, path: string, options: KubeRequest = {}): Promise<T> {
    const { status, body } = await this.request(method, path, options);
    if (status >= 400) throw new KubeApiError(`${method} ${path}`, toStatus(status, body));
    return body as T;
  }

  async create<T extends KubeObject>(object: T): Promise<T> {
    return await this.call<T>('POST', await this.#collection(object, object.metadata.namespace), { body: object });
  }

  /** Creates many, a number of them at a time. */
  async createAll(objects: Iterable<KubeObject>, parallel = 16): Promise<void> {
    const left = objects[Symbol.iterator]();
    const worker = async (): Promise<void> => {
      for (let next = left.next(); next.done !== true; next = left.next()) await this.create(next.value);
    };
    await Promise.all(Array.from({ length: parallel }, worker));
  }

  /** Server-side apply, one after the other, in force over other field managers. */
  async apply(...objects: readonly KubeObject[]): Promise<void> {
    for (const object of objects) {
      await this.call('PATCH', `${await this.path(object)}?fieldManager=ground&force=true`, {
        body: object,
        contentType: 'application/apply-patch+yaml',
      });
    }
  }

  async get<T extends KubeObject>(ref: KubeRef): Promise<T> {
    return await this.call<T>('GET', await this.path(ref));
  }

  /** Replaces it; refused with 409 when its resourceVersion is old. */
  async update<T extends KubeObject>(object: T, subresource?: 'status'): Promise<T> {
    return await this.call<T>('PUT', await this.path(object, subresource), { body: object });
  }

  /** A JSON merge patch. */
  async patch<T extends KubeObject>(ref: KubeRef, patch: unknown, subresource?: 'status'): Promise<T> {
    const path = await this.path(ref, subresource);
    return await this.call<T>('PATCH', path, { body: patch, contentType: 'application/merge-patch+json' });
  }

  async delete(ref: KubeRef, options: { readonly gracePeriodSeconds?: number } = {}): Promise<void> {
    await this.call('DELETE', await this.path(ref), { body: { kind: 'DeleteOptions', apiVersion: 'v1', ...options } });
  }

  async list<T extends KubeObject>(
    apiVersion: string,
    kind: string,
    options: KubeListOptions = {},
  ): Promise<KubeList<T>> {
    const { namespace, ...query } = options;
    const path = withQuery(await this.#collection({ apiVersion, kind }, namespace), query);
    const list = await this.call<KubeList<T>>('GET', path);
    // The API server leaves these out of a list's items.
    return { ...list, items: list.items.map((item) => ({ ...item, apiVersion, kind })) };
  }

  /**
   * The events of one kind until the server or the signal ends them; the generator then returns. It throws when the
   * connection breaks, and KubeApiError when the server refuses; an error within the stream is an event instead.
   */
  async *watch<T extends KubeObject>(
    apiVersion: string,
    kind: string,
    options: KubeWatchOptions = {},
  ): AsyncGenerator<KubeWatchEvent<T>, void, undefined> {
    const { namespace, signal, sendInitialEvents, ...rest } = options;
    const streamed = { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' };
    const query = sendInitialEvents === undefined ? rest : { ...rest, ...streamed };
    const collection = await this.#collection({ apiVersion, kind }, namespace);
    const path = withQuery(collection, { ...query, watch: 'true', allowWatchBookmarks: 'true' });
    const request = signal === undefined ? {} : { signal };
    try {
      const answer = await this.#open('GET', path, request);
      const status = answer.statusCode ?? 0;
      if (status >= 400) throw new KubeApiError(`GET ${path}`, toStatus(status, await json(answer)));
      let rest = '';
      answer.setEncoding('utf8');
      for await (const chunk of answer) {
        const lines = (rest + String(chunk)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) yield JSON.parse(line) as KubeWatchEvent<T>;
      }
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    }
  }

  /**
   * Waits until `holds` is true of the object as it stands, which is undefined while it is not there.
   * @throws when it does not become true in time; the message has the object as it stood last.
   */
  async waitFor<T extends KubeObject>(
    ref: KubeRef,
    holds: (object: T | undefined) => boolean,
    within = 30_000,
  ): Promise<T | undefined> {
    const { apiVersion, kind, metadata } = ref;
    const { namespace, name } = metadata;
    const only = { fieldSelector: `metadata.name=${name}`, ...(namespace === undefined ? {} : { namespace }) };
    const signal = AbortSignal.timeout(within);
    let last: T | undefined;
    while (!signal.aborted) {
      const { items, metadata } = await this.list<T>(apiVersion, kind, only);
      last = items[0];
      if (holds(last)) return last;
      const { resourceVersion } = metadata;
      for await (const { type, object } of this.watch<T>(apiVersion, kind, { ...only, resourceVersion, signal })) {
        if (type === 'ERROR') break;
        if (type === 'BOOKMARK') continue;
        last = type === 'DELETED' ? undefined : object;
        if (holds(last)) return last;
      }
    }
    const stands = JSON.stringify(last) ?? 'not there';
    throw new Error(`${kind} ${namespace ?? ''}/${name} is not as awaited after ${within} ms: ${stands}`);
  }

  /** An object's path, found through the API server's discovery. Waits for a kind whose definition is just made. */
  async path(ref: KubeRef, subresource?: string): Promise<string> {
    const collection = await this.#collection(ref, ref.metadata.namespace);
    return `${collection}/${ref.metadata.name}${subresource === undefined ? '' : `/${subresource}`}`;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #collection(of: Pick<KubeRef, 'apiVersion' | 'kind'>, namespace: string | undefined): Promise<string> {
    const base = of.apiVersion.includes('/') ? `/apis/${of.apiVersion}` : `/api/${of.apiVersion}`;
    const find = (): Resource | undefined =>
      this.#resources.get(base)?.find(({ kind, name }) => kind === of.kind && !name.includes('/'));
    const until = performance.now() + KIND_SERVED_WITHIN;
    for (;;) {
      const resource = find();
      if (resource !== undefined) {
        const within = resource.namespaced && namespace !== undefined ? `/namespaces/${namespace}` : '';
        return `${base}${within}/${resource.name}`;
      }
      const { status, body } = await this.request('GET', base);
      if (status === 200) this.#resources.set(base, (body as { resources: Resource[] }).resources);
      else if (status !== 404) throw new KubeApiError(`GET ${base}`, toStatus(status, body));
      if (find() !== undefined) continue;
      if (performance.now() > until) throw new Error(`the API server knows no ${of.kind} of ${of.apiVersion}`);
      await sleep(100);
    }
  }

  #open(method: string, path: string, options: KubeRequest): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const outgoing = request(`${this.#server}${path}`, {
      method,
      agent: this.#agent,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      headers: {
        accept: 'application/json, */*',
        ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
        ...(body === undefined
          ? {}
          : {
              'content-type': options.contentType ?? 'application/json',
              // Node sends a DELETE's body without saying how long it is.
              'content-length': Buffer.byteLength(body),
            }),
      },
    });
    outgoing.once('response', resolve).once('error', reject).end(body);
    return promise;
  }
}

function withQuery(path: string, query: Readonly<Record<string, string>>): string {
  const text = new URLSearchParams(query).toString();
  return text === '' ? path : `${path}?${text}`;
}

function toStatus(code: number, body: unknown): KubeStatus {
  if (typeof body === 'object' && body !== null && 'message' in body) {
    const { reason, message } = body as { readonly reason?: string; readonly message: string };
    return { code, reason: reason ?? '', message };
  }
  return { code, reason: '', message: String(body) };
}
