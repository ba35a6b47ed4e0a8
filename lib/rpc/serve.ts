import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import {
  createSecureContext,
  createServer as createTlsServer,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';
import { constants } from 'node:crypto';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { systemClock, type Clock } from '../clock.ts';
import { formatAddress, parseAddress } from '../config/address.ts';
import { listen } from '../config/listen.ts';
import { HeadgateError } from '../errors.ts';
import { subjectsOf } from '../identity/certificate.ts';
import type { Identity } from '../identity/identity.ts';
import type { Log } from '../log.ts';
import { channelOptions } from './channel-options.ts';
import { Connections, defaultConnectionLimits, type ConnectionLimits, type Peer } from './connections.ts';
import { callerOf, guard, type Identify } from './guard.ts';
import type { ServerRole } from './rpc-table.ts';
import { registerServices, type RpcServices } from './services.ts';

/** PEM. The certificate chain ends with the root, so that a caller who only knows its hash can check it. */
export interface ServerTls {
  readonly certificate: string;
  readonly privateKey: string;
  /** Who may have signed client certificates. */
  readonly ca: string;
}

export interface ServeOptions {
  /** HOST:PORT; port 0 takes any free one. */
  readonly address: string;
  readonly role: ServerRole;
  readonly tls: ServerTls;
  readonly services: RpcServices;
  readonly log: Log;
  /** Ends the server and every connection. */
  readonly signal: AbortSignal;
  /**
   * Asked for every connection and call with a valid certificate: false for a revoked one, another fleet's or
   * another cluster's. Cheap and synchronous. Revoking also takes `closeWhere`.
   */
  readonly admit: (identity: Identity, serial: string) => boolean;
  readonly clock?: Clock;
  readonly limits?: Partial<ConnectionLimits>;
}

export interface RpcServer extends AsyncDisposable {
  /** HOST:PORT really bound. */
  readonly address: string;
  /** New connections use it from now on; live ones stay. */
  setTls(tls: ServerTls): void;
  /** Cuts live connections whose certificate is picked; gives how many. */
  closeWhere(predicate: (identity: Identity, serial: string) => boolean): number;
}

/** Files waiting in the kernel to be accepted: a fleet that reconnects at once must not overflow it. */
const backlog = 4_096;

const sweepMs = 250;

/**
 * Serves gRPC over TLS 1.3. A client certificate is optional at the handshake and decided per call by
 * `rpcTable`.
 *
 * @throws HeadgateError HG2001 bad address, HG2002 address taken, HG1004 unusable certificate or key.
 */
export async function serveRpc(options: ServeOptions): Promise<RpcServer> {
  const { role, services, log, signal } = options;
  const asked = parseAddress(options.address);
  const clock = options.clock ?? systemClock;
  const connections = new Connections(clock, log, { ...defaultConnectionLimits, ...options.limits });
  const admit = ({ identity, serial }: Peer): boolean => options.admit(identity, serial);
  let roots = rootsOf(options.tls);
  const identify: Identify = (call) => callerOf(call, roots);
  const running = new Set<Promise<void>>();

  const server = new Server({
    ...channelOptions,
    'grpc.max_concurrent_streams': 16,
    interceptors: [guard(role, identify, admit, log)],
  });
  registerServices(server, services, { running, identify, log, cut: (remote) => connections.closeRemote(remote) });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());

  const tlsServer = createTlsServer({
    ...usable(options.tls),
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
    handshakeTimeout: 10_000,
  });
  tlsServer.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', (error) => log.debug('connection broke', { remote: socket.remoteAddress, error }));
    if (connections.secured(socket, roots, admit)) injector.injectConnection(socket);
  });
  tlsServer.on('tlsClientError', (error) => log.debug('TLS handshake failed', { error }));

  const listener = createServer({ noDelay: true }, (socket: Socket) => {
    if (connections.opened(socket)) tlsServer.emit('connection', socket);
  });
  const bound = await listen(listener, asked, 'gRPC', backlog);
  const sweeper = setInterval(() => connections.sweep(), sweepMs);

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= shutDown());
  const shutDown = async (): Promise<void> => {
    signal.removeEventListener('abort', onAbort);
    clearInterval(sweeper);
    const closed = once(listener, 'close');
    listener.close();
    connections.closeAll();
    injector.destroy();
    server.forceShutdown();
    await closed;
    await Promise.all(running);
  };
  const onAbort = (): void => void close().catch((error: unknown) => log.error('server did not close', { error }));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) await close();

  return {
    address: formatAddress(bound),
    setTls: (tls) => {
      tlsServer.setSecureContext(usable(tls));
      roots = rootsOf(tls);
    },
    closeWhere: (predicate) => connections.closeWhere(predicate),
    [Symbol.asyncDispose]: close,
  };
}

/** @throws HeadgateError HG1004 */
function rootsOf({ ca }: ServerTls): ReadonlySet<string> {
  try {
    return subjectsOf(ca);
  } catch (cause) {
    throw new HeadgateError('HG1004', 'the CA of client certificates cannot be used', { cause });
  }
}

/** @throws HeadgateError HG1004 */
function usable({ certificate, privateKey, ca }: ServerTls): SecureContextOptions {
  const context: SecureContextOptions = {
    cert: certificate,
    key: privateKey,
    ca,
    minVersion: 'TLSv1.3',
    // A resumed session would bring an old verdict on its certificate along.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
  try {
    createSecureContext(context);
  } catch (cause) {
    throw new HeadgateError('HG1004', 'the server certificate, its key or its CA cannot be used', { cause });
  }
  return context;
}
