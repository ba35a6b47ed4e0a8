import { HeadgateError } from '../errors.ts';
import { Authority } from '../identity/authority.ts';
import type { Identity } from '../identity/identity.ts';
import { makeKeyAndCsr } from '../identity/key.ts';
import { silentLog } from '../log.ts';
import { dialRpc, type RpcConnection } from './dial.ts';
import { serveRpc, type RpcServer, type ServeOptions } from './serve.ts';

const hour = 3_600_000;

export interface TestCredentials {
  readonly ca: string;
  readonly certificate: string;
  readonly privateKey: string;
}

/** A control CA for tests that issues to whomever they ask. */
export async function testFleet(fleet = 'f1'): Promise<{
  readonly authority: Authority;
  issue(identity: Identity, options?: { lifetime?: number; now?: number; serial?: string }): Promise<TestCredentials>;
}> {
  const authority = await Authority.create('test control CA', fleet, Date.now());
  return {
    authority,
    issue: async (identity, { lifetime = hour, now = Date.now(), serial } = {}) => {
      const { privateKey, csr } = await makeKeyAndCsr();
      const leaf = await authority.issueControl(identity, {
        csr,
        now,
        lifetime,
        ...(serial === undefined ? {} : { serial }),
      });
      return { ca: authority.pem.certificate, certificate: leaf + authority.pem.certificate, privateKey };
    },
  };
}

export const hubIdentity: Identity = { kind: 'hub', fleet: 'f1', id: 'h1' };
export const euIdentity: Identity = { kind: 'cluster', fleet: 'f1', cluster: 'eu' };
export const nodeIdentity: Identity = { kind: 'node', fleet: 'f1', cluster: 'eu', node: 'n1' };

/** Servers and connections of one test, ended with it. */
export class TestLinks implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #tls: TestCredentials;

  constructor(tls: TestCredentials) {
    this.#tls = tls;
  }

  async serve(options: Partial<ServeOptions> = {}): Promise<RpcServer> {
    const server = await serveRpc({
      address: '127.0.0.1:0',
      role: 'hub',
      tls: this.#tls,
      services: {},
      log: silentLog,
      signal: new AbortController().signal,
      admit: () => true,
      ...options,
    });
    return this.#stack.use(server);
  }

  dial(
    server: RpcServer,
    tls: { readonly ca: string; readonly certificate?: string; readonly privateKey?: string },
    kind: Identity['kind'] = 'hub',
  ): RpcConnection {
    return this.#stack.use(dialRpc({ address: server.address, tls, expect: (identity) => identity.kind === kind }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** What `work` failed with; fails itself when it did not. */
export async function failure(work: Promise<unknown>): Promise<HeadgateError> {
  try {
    await work;
  } catch (error) {
    return HeadgateError.from(error);
  }
  throw new Error('it did not fail');
}

/** Every frame until the end. */
export async function drain<T>({ frames }: { readonly frames: AsyncIterable<T> }): Promise<T[]> {
  const all: T[] = [];
  for await (const frame of frames) all.push(frame);
  return all;
}
