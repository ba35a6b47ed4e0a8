import { importPair, makeKey } from '../../../lib/identity/key.ts';
import { signingAlgorithm, x509 } from '../../../lib/identity/x509.ts';

const day = 86_400_000;
const SUBJECT = 'CN=Headgate default certificate';

/**
 * Leaf and key in one PEM for a client whose SNI names nothing here: nobody trusts it, but the handshake ends
 * and the client learns by a 404 what is wrong. Valid ten years from `now` (Unix milliseconds).
 */
export async function makeDefaultCertificate(now: number): Promise<string> {
  const privateKey = await makeKey();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: SUBJECT,
    notBefore: new Date(now - day),
    notAfter: new Date(now + 3_650 * day),
    keys: await importPair(privateKey),
    signingAlgorithm,
    extensions: [new x509.BasicConstraintsExtension(false, undefined, true)],
  });
  return `${certificate.toString('pem').trim()}\n${privateKey.trim()}\n`;
}

/** Whether it is one that this file makes: where a certificate is given for it, that stands in the same place. */
export function isSelfMade(pem: string): boolean {
  try {
    return new x509.X509Certificate(pem).subject === SUBJECT;
  } catch {
    return false;
  }
}
