import { hash, type X509Certificate } from 'node:crypto';
import { parseSpiffe, type Identity } from './identity.ts';

/**
 * The identity that a certificate of the control CA speaks for. A certificate with any name beside its one
 * URI SAN speaks for nobody.
 */
export function identityOf(certificate: X509Certificate): Identity | undefined {
  // Node joins several names by ', ' and quotes a name that holds a comma; neither passes parseSpiffe.
  const names = certificate.subjectAltName;
  return names?.startsWith('URI:') === true ? parseSpiffe(names.slice('URI:'.length)) : undefined;
}

/** SHA-256 over a certificate's SubjectPublicKeyInfo, base64url: survives a re-issue with the same key. */
export function spkiHash(certificate: X509Certificate): string {
  return hash('sha256', certificate.publicKey.export({ type: 'spki', format: 'der' }), 'base64url');
}

/** True when `authority` is a CA and its key signed `certificate`; says nothing of validity or revocation. */
export function isSignedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return authority.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

/** Validity in Unix milliseconds. */
export function validity(certificate: X509Certificate): { readonly notBefore: number; readonly notAfter: number } {
  return { notBefore: certificate.validFromDate.getTime(), notAfter: certificate.validToDate.getTime() };
}
