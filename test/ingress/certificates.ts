import { createPrivateKey, generateKeyPairSync, randomBytes, webcrypto } from 'node:crypto';
import { importPair, makeKey } from '../../lib/identity/key.ts';
import { signingAlgorithm, x509 } from '../../lib/identity/x509.ts';

export interface Pair {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  /** Hex, upper case, as Node's TLS socket tells a peer's. */
  readonly serial: string;
}

export interface TestAuthority {
  readonly certificate: string;
  leaf(names: readonly string[], kind?: 'ECDSA' | 'RSA'): Promise<Pair>;
}

/** A certificate authority of this run. */
export async function testAuthority(): Promise<TestAuthority> {
  const keys = await importPair(await makeKey());
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test authority',
    keys,
    signingAlgorithm,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  return {
    certificate: authority.toString('pem'),
    leaf: async (names, kind = 'ECDSA') => {
      // The first bit is 0, so that the number is positive as it stands, and the first byte is not.
      const serial = `1${randomBytes(8).toString('hex').slice(1)}`.toUpperCase();
      const key = kind === 'ECDSA' ? await makeKey() : rsaKey();
      const leaf = await x509.X509CertificateGenerator.create({
        serialNumber: serial,
        subject: `CN=${names[0] ?? ''}`,
        issuer: authority.subject,
        signingKey: keys.privateKey,
        signingAlgorithm,
        publicKey: kind === 'ECDSA' ? (await importPair(key)).publicKey : await rsaPublic(key),
        extensions: [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value })))],
      });
      return { certificate: leaf.toString('pem'), key, serial };
    },
  };
}

function rsaKey(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

async function rsaPublic(pem: string): Promise<webcrypto.CryptoKey> {
  const { n = '', e = '' } = createPrivateKey(pem).export({ format: 'jwk' });
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  return await webcrypto.subtle.importKey('jwk', { kty: 'RSA', n, e }, algorithm, true, ['verify']);
}
