import { hash, X509Certificate } from 'node:crypto';
import { pemBlocks } from '../pem.ts';
import { nodeIssuerName, parseSpiffe, type Identity } from './identity.ts';

/**
 * The identity that a certificate of the control CA speaks for. A certificate with any name beside its one
 * URI SAN speaks for nobody.
 */
export function identityOf(certificate: X509Certificate): Identity | undefined {
  // Node joins several names by ', ' and quotes a name that holds a comma; neither passes parseSpiffe.
  const names = certificate.subjectAltName;
  return names?.startsWith('URI:') === true ? parseSpiffe(names.slice('URI:'.length)) : undefined;
}

/** Subjects of the certificates of a PEM bundle, as `X509Certificate.issuer` spells them. */
export function subjectsOf(bundle: string): ReadonlySet<string> {
  return new Set(pemBlocks(bundle).map(({ text }) => new X509Certificate(text).subject));
}

/**
 * The identity that a certificate speaks for whose chain has been verified: from a root whatever it says, from a
 * cluster's own CA a node of that cluster and nobody else. The names of CAs are written by the hub alone, so the
 * issuer's name says which CA it was; another spelling of it, which X.509 takes for the same, is nobody's.
 *
 * @param roots subjects of the roots that the chain may end in.
 */
export function verifiedIdentity(certificate: X509Certificate, roots: ReadonlySet<string>): Identity | undefined {
  const identity = identityOf(certificate);
  if (identity === undefined || roots.has(certificate.issuer)) return identity;
  if (identity.kind !== 'node') return undefined;
  return certificate.issuer === `O=${identity.fleet}\nCN=${nodeIssuerName(identity.cluster)}` ? identity : undefined;
}

/** SHA-256 over a certificate's SubjectPublicKeyInfo, base64url: survives a re-issue with the same key. */
export function spkiHash(certificate: X509Certificate): string {
  return hash('sha256', certificate.publicKey.export({ type: 'spki', format: 'der' }), 'base64url');
}

/** True when `authority` is a CA and its key signed `certificate`; says nothing of validity or revocation. */
export function isSignedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return authority.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

/** Whether a certificate may be shown by a client (RFC 5280, 4.2.1.12: id-kp-clientAuth). */
export function isClient(certificate: X509Certificate): boolean {
  const usages: readonly string[] | undefined = certificate.keyUsage;
  return usages?.includes('1.3.6.1.5.5.7.3.2') ?? false;
}

/** Validity in Unix milliseconds. */
export function validity(certificate: X509Certificate): { readonly notBefore: number; readonly notAfter: number } {
  return { notBefore: certificate.validFromDate.getTime(), notAfter: certificate.validToDate.getTime() };
}
