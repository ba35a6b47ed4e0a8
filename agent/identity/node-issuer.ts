import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { Authority } from '../../lib/identity/authority.ts';
import { isSignedBy } from '../../lib/identity/certificate.ts';
import { nodeIssuerName } from '../../lib/identity/identity.ts';
import { lifetimeOf } from '../../lib/identity/renewal.ts';
import { isBefore, momentOf, serialAt, type Moment } from '../../lib/identity/serial.ts';
import type { Credentials } from '../../proto/gen/headgate/v1/enrolment.ts';
import type { AgentCredentials } from './identity-files.ts';

export interface NodeIssuerOptions {
  /** The cluster agent's own, as they are now. */
  readonly credentials: () => AgentCredentials;
  /** How far the agent has heard the hub's history; undefined before the first word. */
  readonly heard: () => Moment | undefined;
  readonly clock: Clock;
}

/** A node's certificate requests; nothing but their keys is looked at. */
interface NodeCsrs {
  readonly controlCsr: Uint8Array;
  readonly gatewayCsr: Uint8Array;
}

/** Issues certificates to the nodes of a cluster from its agent's own CAs: no hub is needed. */
export class NodeIssuer {
  readonly #options: NodeIssuerOptions;

  constructor(options: NodeIssuerOptions) {
    this.#options = options;
  }

  /** Whether the hub has given the agent its CAs: one of an earlier release has not. */
  get ready(): boolean {
    return this.#options.credentials().issuers !== undefined;
  }

  /**
   * A node's certificates, which live as long as those that the hub gives the agent itself.
   *
   * @throws HG2005 for a bad CSR, HG3001 while there are no CAs to issue from
   */
  async issue(node: string, { controlCsr, gatewayCsr }: NodeCsrs): Promise<Credentials> {
    const { identity, control, gateway, issuers } = this.#options.credentials();
    const now = this.#options.clock.wall();
    const ends = [issuers?.node, issuers?.gateway].map(
      (one) => one && new X509Certificate(one.certificate).validToDate,
    );
    if (issuers === undefined || ends.some((end) => end === undefined || end.getTime() <= now)) {
      throw new HeadgateError('HG3001', 'the cluster agent has no CA that is good now to issue from', {
        remedy: 'let it reach the hub, which gives it one',
      });
    }
    const serial = (): string => serialAt(this.#now());
    const { fleet, cluster } = identity;
    const forControl = { csr: controlCsr, now, lifetime: lifetimeOf(control.certificate), serial: serial() };
    const forGateway = { csr: gatewayCsr, now, lifetime: lifetimeOf(gateway.certificate), serial: serial() };
    const [nodes, gateways] = await Promise.all([Authority.load(issuers.node), Authority.load(issuers.gateway)]);
    const leaf = await nodes.issueControl({ kind: 'node', fleet, cluster, node }, forControl);
    return {
      fleet,
      cluster,
      node,
      controlCertificate: leaf + issuers.node.certificate,
      // By which the node knows its cluster agent.
      controlCa: control.ca,
      gatewayCertificate: (await gateways.issueGateway(cluster, forGateway)) + issuers.gateway.certificate,
      gatewayCa: gateway.ca,
      issuers: undefined,
    };
  }

  /** Whether a node's certificate was issued by the hub, or by a CA of this cluster: this replica's or another's. */
  hasIssued(certificate: X509Certificate, issuer: X509Certificate | undefined): boolean {
    const { identity, control, issuers } = this.#options.credentials();
    if (isSignedBy(certificate, new X509Certificate(control.ca))) return true;
    if (issuer === undefined || issuers === undefined) return false;
    return (
      isSignedBy(certificate, issuer) &&
      isSignedBy(issuer, new X509Certificate(issuers.node.ca)) &&
      issuer.subject === `O=${identity.fleet}\nCN=${nodeIssuerName(identity.cluster)}`
    );
  }

  /** No earlier than the agent's own certificate: what was revoked before it is not this agent's to fall under. */
  #now(): Moment {
    const own = momentOf(new X509Certificate(this.#options.credentials().control.certificate).serialNumber);
    const heard = this.#options.heard();
    const start: Moment = own ?? { epoch: { counter: 0n }, revision: 0n };
    return heard === undefined || isBefore(heard, start) ? start : heard;
  }
}
