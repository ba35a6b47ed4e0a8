import { verify, X509Certificate } from 'node:crypto';
import type { RenewRequest } from '../../proto/gen/headgate/v1/enrolment.ts';
import type { Clock } from '../clock.ts';
import { HeadgateError } from '../errors.ts';
import { validity } from './certificate.ts';
import { Nonces } from './nonces.ts';

/** Bytes that an old certificate may have; ours are about 700. */
const maxCertificateBytes = 4_096;
const maxSignatureBytes = 128;

export interface RenewalProofOptions {
  readonly clock: Clock;
  /** Milliseconds after its expiry that a certificate may still be renewed. */
  readonly grace: number;
  /** Whether the certificate was issued by somebody whose certificates are renewed here. */
  readonly isIssued: (certificate: X509Certificate, issuer: X509Certificate | undefined) => boolean;
}

const remedy = 'enrol anew: give the agent a join token from: headgate cluster add NAME';

/** How the holder of an old certificate proves itself without one: its key signs our nonce and what it asks for. */
export class RenewalProofs {
  readonly #options: RenewalProofOptions;
  readonly #nonces: Nonces;

  constructor(options: RenewalProofOptions) {
    this.#options = options;
    this.#nonces = new Nonces(options.clock);
  }

  /** @param connection names the caller's connection. */
  nonce(connection: string): Buffer {
    return this.#nonces.issue(connection);
  }

  /**
   * Checks a renewal and uses its nonce up.
   *
   * @returns the old certificate: who renews is who it says.
   * @throws HG2005, which tells no more than the caller knows
   */
  prove(request: RenewRequest, connection: string): X509Certificate {
    const { nonce, controlCsr, gatewayCsr, signature, issuers } = request;
    if (!this.#nonces.isFresh(nonce, connection)) {
      throw new HeadgateError('HG2005', 'the nonce is not of this connection, too old or used', {
        remedy: 'ask for a new nonce and renew again',
      });
    }
    const certificate = this.#oldCertificate(request);
    checkSignature(certificate, [nonce, controlCsr, gatewayCsr], signature);
    if (issuers !== undefined) {
      checkSignature(certificate, [nonce, issuers.nodeCsr, issuers.gatewayCsr], issuers.signature);
    }
    if (!this.#nonces.use(nonce)) {
      throw new HeadgateError('HG2005', 'the nonce was used', { remedy: 'ask for a new nonce and renew again' });
    }
    return certificate;
  }

  #oldCertificate({ oldCertificate, oldIssuer }: RenewRequest): X509Certificate {
    const { clock, grace, isIssued } = this.#options;
    if (oldCertificate.length > maxCertificateBytes || oldIssuer.length > maxCertificateBytes) throw foreign();
    let certificate: X509Certificate;
    let issuer: X509Certificate | undefined;
    try {
      certificate = new X509Certificate(oldCertificate);
      issuer = oldIssuer.length === 0 ? undefined : new X509Certificate(oldIssuer);
    } catch (cause) {
      throw foreign(cause);
    }
    if (!isIssued(certificate, issuer)) throw foreign();
    if (validity(certificate).notAfter + grace < clock.wall()) {
      throw new HeadgateError('HG2005', 'the certificate expired too long ago to be renewed', { remedy });
    }
    return certificate;
  }
}

/** Of a certificate that is nobody's here. */
export function foreign(cause?: unknown): HeadgateError {
  return new HeadgateError('HG2005', 'the certificate is not one of this fleet', { remedy, cause });
}

/** Of a certificate that was good once. */
export function revoked(): HeadgateError {
  return new HeadgateError('HG2005', 'the certificate is revoked', { remedy });
}

function checkSignature({ publicKey }: X509Certificate, parts: readonly Uint8Array[], signature: Uint8Array): void {
  if (signature.length <= maxSignatureBytes && verify('sha256', Buffer.concat(parts), publicKey, signature)) return;
  throw new HeadgateError('HG2005', 'the renewal is not signed by the old key', { remedy });
}
