import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { HeadgateError } from '../../lib/errors.ts';
import { type OperatorToken, findToken } from './operator-tokens.ts';
import { type Role, roles } from './types.ts';

/** Who calls, as the TLS connection or the bearer token proves. */
export interface Caller {
  /** For the audit. */
  readonly name: string;
  readonly role: Role;
}

const remedy = 'use the client certificate of admin.yaml in the data folder of the hub, or a bearer token';

/**
 * Loopback is no credential. A certificate of the fleet's CA that is no operator's (an agent's, a hub's) is
 * refused: it says who somebody is, not that they may do this.
 *
 * @throws HeadgateError HG2005 no credential, or one that is not accepted; HG2006 not an operator's
 */
export function identifyCaller(request: IncomingMessage, fleet: string, tokens: readonly OperatorToken[]): Caller {
  const bearer = /^Bearer ([A-Za-z0-9._~+/=-]{1,1024})$/.exec(request.headers.authorization ?? '')?.[1];
  if (bearer !== undefined) {
    const token = findToken(tokens, bearer);
    if (token === undefined) throw new HeadgateError('HG2005', 'the bearer token is not accepted', { remedy });
    return { name: `token:${token.name}`, role: token.role };
  }
  const socket = request.socket as TLSSocket;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw new HeadgateError('HG2005', 'a credential is missing', { remedy });
  if (!socket.authorized) throw new HeadgateError('HG2005', 'the client certificate is not accepted', { remedy });
  const role = operatorRole(certificate.subjectAltName, fleet);
  if (role === undefined)
    throw new HeadgateError('HG2006', 'the client certificate is not one of an operator', { remedy });
  return { name: `certificate:${role}:${certificate.serialNumber.toLowerCase()}`, role };
}

/** An operator's URI SAN is `spiffe://<fleet>/operator/<role>`, and nothing else is in it. */
export function operatorRole(subjectAltName: string | undefined, fleet: string): Role | undefined {
  return roles.find((role) => subjectAltName === `URI:spiffe://${fleet}/operator/${role}`);
}

/** @throws HeadgateError HG2006 */
export function requireRole(caller: Caller, needed: Role): void {
  if (roles.indexOf(caller.role) < roles.indexOf(needed)) {
    throw new HeadgateError('HG2006', `the role ${caller.role} may not do this`, {
      remedy: `use a credential with the role ${needed}`,
    });
  }
}
