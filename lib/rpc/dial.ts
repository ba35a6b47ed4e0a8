import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { Client, credentials, Metadata, type StatusObject } from '@grpc/grpc-js';
import { ConfigureRequest, ConfigureResponse } from '../../proto/gen/headgate/v1/configure.ts';
import {
  EnrolmentServiceService,
  type EnrolRequest,
  type EnrolResponse,
  type NonceResponse,
  type RenewRequest,
  type RenewResponse,
} from '../../proto/gen/headgate/v1/enrolment.ts';
import { ReportRequest, ReportResponse } from '../../proto/gen/headgate/v1/report.ts';
import type { ReceiverFrame, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import { formatAddress, parseAddress } from '../config/address.ts';
import { HeadgateError } from '../errors.ts';
import { subjectsOf } from '../identity/certificate.ts';
import type { Identity } from '../identity/identity.ts';
import type { Pipe } from '../sync/pipe.ts';
import { encodeSenderFrame } from '../sync/wire.ts';
import { dialOptions } from './channel-options.ts';
import { peerOf } from './connections.ts';
import { CallerPipe, type CallerCodec } from './grpc-pipe.ts';
import type { RpcPath } from './rpc-table.ts';
import { fromStatus } from './status.ts';

export interface DialOptions {
  /** HOST:PORT of a hub, or of a cluster agent. */
  readonly address: string;
  /** PEM. Without certificate and key only enrolment and renewal are answered. */
  readonly tls: { readonly ca: string; readonly certificate?: string; readonly privateKey?: string };
  /** Whether the server is who it should be: its chain is verified, its names mean nothing else. */
  readonly expect: (identity: Identity) => boolean;
}

/** One connection to one address; it is made with the first call. When it breaks, close it and dial anew. */
export interface RpcConnection extends Disposable {
  report(): Pipe<SenderFrame, ReceiverFrame>;
  configure(): Pipe<ReceiverFrame, SenderFrame>;
  enrol(request: EnrolRequest): Promise<EnrolResponse>;
  nonce(): Promise<NonceResponse>;
  renew(request: RenewRequest): Promise<RenewResponse>;
  /** Ends its streams in order, then the connection. */
  close(): void;
}

/** Milliseconds that a unary call may take. */
const callDeadlineMs = 10_000;

/**
 * @throws HeadgateError HG2001 bad address, HG1004 unusable certificate, key or CA. Everything else comes from
 * the calls: HG3001 not reachable, HG2005 not who it should be, and what the server answers.
 */
export function dialRpc({ address, tls, expect }: DialOptions): RpcConnection {
  const peer = formatAddress(parseAddress(address));
  // grpc-js makes text of it, so the reason for a refusal is kept here.
  let refusal: HeadgateError | undefined;
  const context = secureContext(tls);
  const roots = subjectsOf(tls.ca);
  const client = new Client(
    peer,
    credentials.createFromSecureContext(context, {
      checkServerIdentity: (_name, { raw }) => {
        const server = peerOf(new X509Certificate(raw), roots);
        if (server !== undefined && expect(server.identity)) return (refusal = undefined);
        const who = server === undefined ? 'nobody of a fleet' : `a ${server.identity.kind} that was not asked for`;
        return (refusal = new HeadgateError('HG2005', `${peer} is ${who}`));
      },
    }),
    dialOptions,
  );
  const explain = (failed: StatusObject): HeadgateError => refusal ?? fromStatus(failed, peer);
  const pipes = new Set<Pipe<never, unknown>>();

  const stream = <Out, In>(
    path: RpcPath,
    codec: CallerCodec<Out, Buffer>,
    decode: (bytes: Buffer) => { readonly frame: In | undefined },
  ): Pipe<Out, In> => {
    const call = client.makeBidiStreamRequest<Buffer, { readonly frame: In | undefined }>(
      path,
      (bytes) => bytes,
      decode,
    );
    const pipe = new CallerPipe<Out, In, Buffer>(call, codec, explain);
    pipes.add(pipe);
    call.once('status', () => pipes.delete(pipe));
    return pipe;
  };

  const unary = <Request, Response>(method: UnaryMethod<Request, Response>, request: Request): Promise<Response> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        { deadline: Date.now() + callDeadlineMs },
        (failed, response) => {
          if (failed === null && response !== undefined) resolve(response);
          else if (failed !== null) reject(explain(failed));
        },
      );
    });

  const close = (): void => {
    for (const pipe of pipes) pipe.close();
    client.close();
  };

  return {
    report: () => stream('/headgate.v1.ReportService/Report', reportCodec, (bytes) => ReportResponse.decode(bytes)),
    configure: () =>
      stream('/headgate.v1.ConfigureService/Configure', configureCodec, (bytes) => ConfigureResponse.decode(bytes)),
    enrol: (request) => unary(EnrolmentServiceService.enrol, request),
    nonce: () => unary(EnrolmentServiceService.nonce, {}),
    renew: (request) => unary(EnrolmentServiceService.renew, request),
    close,
    [Symbol.dispose]: close,
  };
}

interface UnaryMethod<Request, Response> {
  readonly path: RpcPath;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

const reportCodec: CallerCodec<SenderFrame, Buffer> = {
  frame: encodeSenderFrame,
  failure: (failure) => Buffer.from(ReportRequest.encode({ frame: undefined, failure }).finish()),
};

const configureCodec: CallerCodec<ReceiverFrame, Buffer> = {
  frame: (frame) => Buffer.from(ConfigureRequest.encode({ frame, failure: undefined }).finish()),
  failure: (failure) => Buffer.from(ConfigureRequest.encode({ frame: undefined, failure }).finish()),
};

/** @throws HeadgateError HG1004 */
function secureContext({ ca, certificate, privateKey }: DialOptions['tls']): SecureContext {
  try {
    return createSecureContext({ ca, cert: certificate, key: privateKey, minVersion: 'TLSv1.3' });
  } catch (cause) {
    throw new HeadgateError('HG1004', 'the client certificate, its key or its CA cannot be used', { cause });
  }
}
