import { KeyObject, webcrypto } from 'node:crypto';
import { testCa, type TestLeaf } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { x509 } from '../../lib/identity/x509.ts';
import type { Leaves } from './mutations.ts';

export async function leavesFor(): Promise<Leaves> {
  const ca = await testCa();
  return {
    good: await ca.leaf('steady.example'),
    refused: await shortKeyLeaf('steady.example'),
    many: await ca.leaf('many.example', ['*.many.example']),
  };
}

/** OpenSSL's security level refuses RSA keys this short. */
async function shortKeyLeaf(name: string): Promise<TestLeaf> {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 1024,
    publicExponent: Uint8Array.of(1, 0, 1),
  };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const made = await x509.X509CertificateGenerator.createSelfSigned({ name: `CN=${name}`, keys });
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' });
  return { certificate: made.toString('pem'), key: key.toString() };
}
