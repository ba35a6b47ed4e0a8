import { KeyObject, webcrypto } from 'node:crypto';
import { x509 } from '../../../lib/identity/x509.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export interface TestLeaf {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

export interface TestCa {
  readonly certificate: string;
  /** @param notAfter when it ends; a year from now where undefined. */
  leaf(commonName: string, names?: readonly string[], notAfter?: Date): Promise<TestLeaf>;
}

/** A certificate authority for one test. */
export async function testCa(): Promise<TestCa> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test ca',
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      // By these alone authorities of one name are told apart.
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificate: ca.toString('pem'),
    async leaf(commonName, names = [commonName], notAfter) {
      const own = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
      const leaf = await x509.X509CertificateGenerator.create({
        subject: `CN=${commonName}`,
        ...(notAfter === undefined ? {} : { notBefore: new Date(0), notAfter }),
        issuer: ca.subject,
        signingKey: keys.privateKey,
        publicKey: own.publicKey,
        signingAlgorithm: algorithm,
        extensions: [
          new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value }))),
          await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ],
      });
      const der = await webcrypto.subtle.exportKey('pkcs8', own.privateKey);
      const text =
        Buffer.from(der)
          .toString('base64')
          .match(/.{1,64}/g)
          ?.join('\n') ?? '';
      return {
        certificate: leaf.toString('pem'),
        key: `-----BEGIN PRIVATE KEY-----\n${text}\n-----END PRIVATE KEY-----\n`,
      };
    },
  };
}

/** A self-signed leaf whose RSA key is shorter than OpenSSL's security level 2 takes (2,048 bits). */
export async function shortKeyLeaf(name: string): Promise<TestLeaf> {
  const rsa = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 1024,
    publicExponent: Uint8Array.of(1, 0, 1),
  };
  const keys = await webcrypto.subtle.generateKey(rsa, true, ['sign', 'verify']);
  const made = await x509.X509CertificateGenerator.createSelfSigned({ name: `CN=${name}`, keys });
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' });
  return { certificate: made.toString('pem'), key: key.toString() };
}
