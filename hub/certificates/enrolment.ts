import { verify, X509Certificate } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { identityOf, isSignedBy, validity } from '../../lib/identity/certificate.ts';
import { isLabel, type Identity } from '../../lib/identity/identity.ts';
import type { Log } from '../../lib/log.ts';
import type {
  EnrolRequest,
  EnrolResponse,
  NonceResponse,
  RenewRequest,
  RenewResponse,
} from '../../proto/gen/headgate/v1/enrolment.ts';
import { keys } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import type { HubAuthority } from './hub-authority.ts';
import { Nonces } from './nonces.ts';
import type { Revocations } from './revocations.ts';
import type { Moment } from '../../lib/identity/serial.ts';
import type { Tokens } from './tokens.ts';

/** Bytes that an old certificate may have; ours are about 700. */
const maxCertificateBytes = 4_096;
const maxSignatureBytes = 128;

export interface EnrolmentOptions {
  readonly authority: HubAuthority;
  readonly tokens: Tokens;
  readonly revocations: Revocations;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/** Identities that agents enrol for. */
type Agent = Extract<Identity, { readonly cluster: string }>;

const remedy = 'enrol anew: give the agent a join token from: headgate cluster add NAME';

/** Gives agents their certificates. All refusals are HG2004 or HG2005 and tell no more than the caller knows. */
export class Enrolment {
  readonly #options: EnrolmentOptions;
  readonly #nonces: Nonces;

  constructor(options: EnrolmentOptions) {
    this.#options = options;
    this.#nonces = new Nonces(options.clock);
  }

  /** First certificates, for a join token. The identity comes from the token's record. */
  async enrol(request: EnrolRequest): Promise<EnrolResponse> {
    const { authority, tokens, log } = this.#options;
    if (request.node !== '' && !isLabel(request.node)) {
      throw new HeadgateError('HG2005', 'the node name is no RFC 1123 label', { remedy: 'name it with --node' });
    }
    const csrs = [request.controlCsr, request.gatewayCsr];
    const { cluster, role, at } = await tokens.redeem(request.token, csrs, request.clusterUid);
    const identity = agentIdentity(authority.fleetName, cluster, role === 'node' ? request.node : undefined);
    const credentials = await authority.issue(identity, request, request.node, at);
    log.info('enrolled an agent', { cluster, node: request.node, role });
    return { credentials };
  }

  /** @param connection names the caller's connection. */
  nonce(connection: string): NonceResponse {
    return { nonce: this.#nonces.issue(connection) };
  }

  /** New certificates for the holder of an old one's key; the identity is the old one's. */
  async renew(request: RenewRequest, connection: string): Promise<RenewResponse> {
    const { authority, log } = this.#options;
    if (!this.#nonces.isFresh(request.nonce, connection)) {
      throw new HeadgateError('HG2005', 'the nonce is not of this connection, too old or used', {
        remedy: 'ask for a new nonce and renew again',
      });
    }
    const certificate = this.#oldCertificate(request.oldCertificate);
    const signed = Buffer.concat([request.nonce, request.controlCsr, request.gatewayCsr]);
    if (
      request.signature.length > maxSignatureBytes ||
      !verify('sha256', signed, certificate.publicKey, request.signature)
    ) {
      throw new HeadgateError('HG2005', 'the renewal is not signed by the old key', { remedy });
    }
    if (!this.#nonces.use(request.nonce)) {
      throw new HeadgateError('HG2005', 'the nonce was used', { remedy: 'ask for a new nonce and renew again' });
    }
    const identity = identityOf(certificate);
    if (identity === undefined || identity.kind === 'hub' || identity.fleet !== authority.fleetName) throw refused();
    const at = await this.#stillMember(identity, certificate.serialNumber);
    const node = identity.kind === 'node' ? identity.node : '';
    const credentials = await authority.issue(identity, request, node, at);
    log.info('renewed an agent', { cluster: identity.cluster, node });
    return { credentials };
  }

  #oldCertificate(der: Uint8Array): X509Certificate {
    const { authority, clock } = this.#options;
    if (der.length > maxCertificateBytes) throw refused();
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(der);
    } catch (cause) {
      throw refused(cause);
    }
    if (!isSignedBy(certificate, authority.control.certificate)) throw refused();
    if (validity(certificate).notAfter + authority.lifetimes.grace < clock.wall()) {
      throw new HeadgateError('HG2005', 'the certificate expired too long ago to be renewed', { remedy });
    }
    return certificate;
  }

  async #stillMember(identity: Agent, serial: string): Promise<Moment> {
    const { revocations, store } = this.#options;
    const { revoked, at } = await revocations.check(identity, serial);
    if (revoked || (await store.get(keys.cluster(identity.cluster))) === undefined) {
      throw new HeadgateError('HG2005', 'the certificate is revoked', { remedy });
    }
    return at;
  }
}

function agentIdentity(fleet: string, cluster: string, node: string | undefined): Agent {
  if (node === undefined) return { kind: 'cluster', fleet, cluster };
  if (node === '') {
    throw new HeadgateError('HG2005', 'a node agent needs a node name', { remedy: 'name it with --node' });
  }
  return { kind: 'node', fleet, cluster, node };
}

function refused(cause?: unknown): HeadgateError {
  return new HeadgateError('HG2005', 'the certificate is not one of this fleet', { remedy, cause });
}
