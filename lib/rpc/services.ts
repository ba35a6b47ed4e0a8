import type { handleBidiStreamingCall, handleUnaryCall, sendUnaryData, Server, ServerUnaryCall } from '@grpc/grpc-js';
import { ConfigureRequest } from '../../proto/gen/headgate/v1/configure.ts';
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
import { HeadgateError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Pipe } from '../sync/pipe.ts';
import { encodeSenderFrame } from '../sync/wire.ts';
import type { Peer } from './connections.ts';
import { ServedPipe } from './grpc-pipe.ts';
import type { Identify } from './guard.ts';
import type { RpcPath } from './rpc-table.ts';
import { toStatus } from './status.ts';

/**
 * What a server does. A stream's handler owns its pipe until its promise settles; the pipe is closed then,
 * with the error it rejected with. A method left out is answered as unknown.
 */
export interface RpcServices {
  readonly report?: (caller: Peer, pipe: Pipe<ReceiverFrame, SenderFrame>) => Promise<void>;
  readonly configure?: (caller: Peer, pipe: Pipe<SenderFrame, ReceiverFrame>) => Promise<void>;
  readonly enrol?: (request: EnrolRequest) => Promise<EnrolResponse>;
  /** `connection` names the caller's connection, the same for all of its calls and no other live one's. */
  readonly nonce?: (connection: string) => Promise<NonceResponse>;
  readonly renew?: (request: RenewRequest, connection: string) => Promise<RenewResponse>;
}

export interface ServiceContext {
  /** Handlers that have not settled yet. */
  readonly running: Set<Promise<void>>;
  readonly identify: Identify;
  readonly log: Log;
  /** Cuts the connection from a remote `ADDRESS:PORT`. */
  readonly cut: (remote: string) => void;
}

const reportPath = '/headgate.v1.ReportService/Report' satisfies RpcPath;
const configurePath = '/headgate.v1.ConfigureService/Configure' satisfies RpcPath;

export function registerServices(server: Server, services: RpcServices, context: ServiceContext): void {
  const { report, configure, enrol, nonce, renew } = services;
  if (report !== undefined) {
    const handler: handleBidiStreamingCall<ReportRequest, Buffer> = (call) => {
      const pipe = new ServedPipe<ReceiverFrame, SenderFrame, Buffer>(
        call,
        (frame) => Buffer.from(ReportResponse.encode({ frame }).finish()),
        () => context.cut(call.getPeer()),
      );
      serve(context, reportPath, pipe, context.identify(call), report);
    };
    server.register(reportPath, handler, asIs, decode(ReportRequest), 'bidi');
  }
  if (configure !== undefined) {
    const handler: handleBidiStreamingCall<ConfigureRequest, Buffer> = (call) => {
      const pipe = new ServedPipe<SenderFrame, ReceiverFrame, Buffer>(call, encodeSenderFrame, () =>
        context.cut(call.getPeer()),
      );
      serve(context, configurePath, pipe, context.identify(call), configure);
    };
    server.register(configurePath, handler, asIs, decode(ConfigureRequest), 'bidi');
  }
  const methods = EnrolmentServiceService;
  if (enrol !== undefined) registerUnary(server, context, methods.enrol, enrol);
  if (nonce !== undefined) registerUnary(server, context, methods.nonce, (_, connection) => nonce(connection));
  if (renew !== undefined) registerUnary(server, context, methods.renew, renew);
}

function serve<Out, In>(
  { running, log }: ServiceContext,
  path: RpcPath,
  pipe: Pipe<Out, In>,
  caller: Peer | undefined,
  handler: (caller: Peer, pipe: Pipe<Out, In>) => Promise<void>,
): void {
  const run = async (): Promise<void> => {
    try {
      if (caller === undefined) throw new HeadgateError('HG2005', `${path} needs a valid client certificate`);
      await handler(caller, pipe);
      pipe.close();
    } catch (thrown) {
      const error = HeadgateError.from(thrown);
      log.info('stream ended', { path, ...caller?.identity, error });
      pipe.close(error);
    }
  };
  const promise: Promise<void> = run().finally(() => running.delete(promise));
  running.add(promise);
}

interface UnaryMethod<Request, Response> {
  readonly path: RpcPath;
  readonly requestDeserialize: (bytes: Buffer) => Request;
  readonly responseSerialize: (response: Response) => Buffer;
}

function registerUnary<Request, Response>(
  server: Server,
  { running, log }: ServiceContext,
  { path, requestDeserialize, responseSerialize }: UnaryMethod<Request, Response>,
  work: (request: Request, connection: string) => Promise<Response>,
): void {
  const handler: handleUnaryCall<Request, Response> = (
    call: ServerUnaryCall<Request, Response>,
    answer: sendUnaryData<Response>,
  ) => {
    const run = async (): Promise<void> => {
      try {
        answer(null, await work(call.request, call.getPeer()));
      } catch (thrown) {
        const error = HeadgateError.from(thrown);
        log.warn('call failed', { path, remote: call.getPeer(), error });
        answer(toStatus(error));
      }
    };
    const promise: Promise<void> = run().finally(() => running.delete(promise));
    running.add(promise);
  };
  server.register(path, handler, responseSerialize, requestDeserialize, 'unary');
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

function decode<T>(message: { decode(bytes: Uint8Array): T }): (bytes: Buffer) => T {
  return (bytes) => message.decode(bytes);
}
