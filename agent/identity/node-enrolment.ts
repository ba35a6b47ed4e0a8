import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { identityOf } from '../../lib/identity/certificate.ts';
import { foreign, RenewalProofs, revoked } from '../../lib/identity/renewal-proof.ts';
import { defaultLifetimes } from '../../lib/identity/authority.ts';
import { isJoinToken } from '../../lib/identity/token.ts';
import type { Log } from '../../lib/log.ts';
import type { RpcConnection, RpcServices } from '../../lib/rpc/index.ts';
import { UsedTokens } from './used-tokens.ts';
import type { NodeIssuer } from './node-issuer.ts';
import type { NodeRevocations } from './node-revocations.ts';

/** Tells which node a caller is that shows a token of its cluster's. */
export interface NodeAttestor {
  /**
   * @returns the node's id, an RFC 1123 label.
   * @throws HG2004 for a token that proves nothing, HG3001 where nobody can say now
   */
  attest(token: string): Promise<string>;
}

export interface NodeEnrolmentOptions {
  readonly cluster: string;
  readonly fleet: string;
  /** The connection that stands; undefined while the hub is away. */
  readonly hub: () => RpcConnection | undefined;
  readonly issuer: NodeIssuer;
  readonly revocations: NodeRevocations;
  /** Undefined where nodes enrol by join tokens alone. */
  readonly attestor: NodeAttestor | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Enrolment as a cluster agent offers it to node agents apart. A join token is the hub's to check, so it goes there as
 * it came. Everything else is settled here, from the agent's own CAs and without the hub: a node that its cluster
 * vouches for, and every renewal.
 */
export function nodeEnrolment(options: NodeEnrolmentOptions): Required<Pick<RpcServices, 'enrol' | 'nonce' | 'renew'>> {
  const { cluster, fleet, hub, issuer, revocations, attestor, clock, log } = options;
  const proofs = new RenewalProofs({
    clock,
    grace: defaultLifetimes.grace,
    isIssued: (certificate, above) => issuer.hasIssued(certificate, above),
  });
  const used = new UsedTokens(clock);
  const connected = (): RpcConnection => {
    const connection = hub();
    if (connection !== undefined) return connection;
    throw new HeadgateError('HG3001', 'the cluster agent has no connection to the hub now');
  };
  return {
    enrol: async (request) => {
      if (isJoinToken(request.token)) return await connected().enrol(request);
      if (attestor === undefined) {
        throw new HeadgateError('HG2004', 'this cluster agent has no API server that could check the token', {
          remedy: `make a join token with: headgate cluster add ${cluster} --role node`,
        });
      }
      const node = await attestor.attest(request.token);
      await used.bind(request.token, [request.controlCsr, request.gatewayCsr]);
      if (revocations.isBarred(node)) throw new HeadgateError('HG2005', `node ${node} is revoked`);
      const credentials = await issuer.issue(node, request);
      log.info('enrolled a node', { node });
      return { credentials };
    },
    nonce: async (connection) => {
      return issuer.ready ? { nonce: proofs.nonce(connection) } : await connected().nonce();
    },
    renew: async (request, connection) => {
      if (!issuer.ready) return await connected().renew(request);
      const certificate = proofs.prove(request, connection);
      const identity = identityOf(certificate);
      if (identity?.kind !== 'node' || identity.cluster !== cluster || identity.fleet !== fleet) throw foreign();
      const { node } = identity;
      if (revocations.isRevoked(identity, certificate.serialNumber) || revocations.isBarred(node)) throw revoked();
      const credentials = await issuer.issue(node, request);
      log.info('renewed a node', { node });
      return { credentials };
    },
  };
}
