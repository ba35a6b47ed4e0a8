import { X509Certificate } from 'node:crypto';
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { HeadgateError } from '../errors.ts';
import type { Log } from '../log.ts';
import { peerOf, type Peer } from './connections.ts';
import { mayCall, type ServerRole } from './rpc-table.ts';
import { toStatus } from './status.ts';

interface Authenticated {
  getAuthContext(): { readonly sslPeerCertificate?: { readonly raw: Buffer } };
}

/** Reads who calls: what the TLS connection proved, and nothing else. `undefined` without a valid certificate. */
export type Identify = (call: Authenticated) => Peer | undefined;

/** @param roots subjects of the roots that client certificates may come from now. */
export function callerOf(call: Authenticated, roots: ReadonlySet<string>): Peer | undefined {
  // grpc-js gives the certificate of authorized sockets only.
  const raw = call.getAuthContext().sslPeerCertificate?.raw;
  return raw === undefined ? undefined : peerOf(new X509Certificate(raw), roots);
}

/** Refuses, before any message is read, every call that the table does not let this caller make. */
export function guard(
  role: ServerRole,
  identify: Identify,
  admit: (peer: Peer) => boolean,
  log: Log,
): ServerInterceptor {
  return ({ path }, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            const caller = identify(call);
            if (mayCall(role, path, caller?.identity) && (caller === undefined || admit(caller))) return pass(metadata);
            log.warn('call refused', { path, remote: call.getPeer(), ...caller?.identity });
            const error =
              caller === undefined
                ? new HeadgateError('HG2005', `${path} needs a valid client certificate`)
                : new HeadgateError('HG2006', `${caller.identity.kind} may not call ${path}`);
            // An RPC that the table does not have is refused to everybody alike.
            call.sendStatus(toStatus(error));
          },
        }),
    });
}
