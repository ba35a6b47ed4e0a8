import type { CallOptions, Metadata } from '@grpc/grpc-js';
import type { IDuplexStream, ILeaseKeepAliveRequest, ILeaseKeepAliveResponse } from 'etcd3';
import type { IOptions, IWatchRequest, IWatchResponse } from 'etcd3';
import { ConnectionPool } from 'etcd3/lib/connection-pool.js';
import type { EtcdSettings } from './settings.ts';

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

/** etcd3 retries and breaks circuits unless told otherwise; which member is asked, and how often, is said in one place. */
const direct: Policy = {
  _altReturn: undefined as never,
  onSuccess: () => ({ dispose: () => undefined }),
  onFailure: () => ({ dispose: () => undefined }),
  execute: async (run) => await run({ signal: new AbortController().signal }),
};

/**
 * A stopped or cut-off member is noticed by pings. etcd ends connections that ping more often than every 5 s
 * (its --grpc-keepalive-min-time).
 */
const channel = {
  'grpc.keepalive_time_ms': 6_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  // A page of a listing holds as many values as it may, each below 1 MiB.
  'grpc.max_receive_message_length': -1,
} as const;

/** A stream of an etcd service, read at the reader's pace. */
export type EtcdStream<Request, Response> = IDuplexStream<Request, Response> & AsyncIterable<Response>;

interface StreamingClient {
  watch(metadata: Metadata, options: CallOptions): EtcdStream<IWatchRequest, IWatchResponse>;
  leaseKeepAlive(metadata: Metadata, options: CallOptions): EtcdStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>;
}

/** One member of the etcd cluster. */
export class Member implements Disposable {
  readonly url: string;
  readonly #pool: ConnectionPool;

  constructor(url: string, { tls, user }: EtcdSettings) {
    this.url = url;
    this.#pool = new ConnectionPool({
      hosts: [url],
      grpcOptions: channel,
      faultHandling: { host: () => direct, global: direct },
      // Of a token's request too.
      defaultCallOptions: ({ isStream }) => (isStream ? {} : { deadline: Date.now() + 2_000 }),
      ...(user === undefined ? {} : { auth: { username: user.name, password: user.password } }),
      ...(url.startsWith('https:') ? { credentials: credentialsOf(tls) } : {}),
    });
  }

  /** @param deadline Unix milliseconds. */
  async call<Response>(
    service: 'KV' | 'Lease' | 'Maintenance',
    method: string,
    request: object,
    deadline: number,
  ): Promise<Response> {
    return await this.#pool.exec<Response>(service, method, request, { deadline });
  }

  /** Ended by etcd when the member has no leader (etcd's `hasleader`): an isolated member would be silent for good. */
  async watch(): Promise<EtcdStream<IWatchRequest, IWatchResponse>> {
    return await this.#stream('Watch', (client, metadata) => client.watch(metadata, {}));
  }

  /** @param deadline Unix milliseconds. */
  async keepAlive(deadline: number): Promise<EtcdStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>> {
    return await this.#stream('Lease', (client, metadata) => client.leaseKeepAlive(metadata, { deadline }));
  }

  [Symbol.dispose](): void {
    this.#pool.close();
  }

  async #stream<Request, Response>(
    service: 'Watch' | 'Lease',
    open: (client: StreamingClient, metadata: Metadata) => EtcdStream<Request, Response>,
  ): Promise<EtcdStream<Request, Response>> {
    const opened = await this.#pool.withConnection(service, ({ client, metadata }) => {
      const own = metadata.clone();
      own.set('hasleader', 'true');
      // Its methods are made at run time from etcd's .proto files.
      return { stream: open(client as unknown as StreamingClient, own) };
    });
    return opened.stream;
  }
}

function credentialsOf(tls: EtcdSettings['tls']): NonNullable<IOptions['credentials']> {
  const { ca, certificate, privateKey } = tls ?? {};
  return {
    // gRPC takes the system's CAs where there is none; etcd3's type wants one.
    rootCertificate: ca as Buffer,
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(certificate === undefined ? {} : { certChain: certificate }),
  };
}
