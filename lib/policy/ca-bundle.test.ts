import { x509 } from '../identity/x509.ts';
import { expect, test } from 'vitest';
import { caBundle } from './ca-bundle.ts';
import { certificatePem } from './certificate.fixture.ts';

const SECRET = 'c2VjcmV0';
const block = (label: string, text: string) => `-----BEGIN ${label}-----\n${text}\n-----END ${label}-----\n`;

test('certificates come out as they were read, without what stands around them', () => {
  const written = `# of A\r\n${certificatePem.replaceAll('\n', '\r\n')}\0${certificatePem}bind :1\n`;
  expect(caBundle.parse(written)).toBe(certificatePem + certificatePem);
});

test.each([
  ['', 'must hold 1 to 16 certificates in PEM'],
  ['no PEM', 'must hold 1 to 16 certificates in PEM'],
  [certificatePem.repeat(17), 'must hold 1 to 16 certificates in PEM'],
  ['x'.repeat(65_537), 'must have at most 65536 bytes'],
  [await longCertificate(14_000), 'must hold certificates of at most 14000 bytes'],
  [block('PRIVATE KEY', SECRET), 'must hold certificates alone, no keys'],
  [certificatePem + block('EC PRIVATE KEY', SECRET), 'must hold certificates alone, no keys'],
  [certificatePem + block('CERTIFICATE', SECRET), 'certificate 2 cannot be read'],
  [certificatePem.slice(0, -10), 'holds a PEM block that is not complete'],
  [`-----BEGIN PRIVATE KEY-----\n${SECRET}\n${certificatePem}`, 'holds a PEM block that is not complete'],
])('%#: a fault says what is wrong and repeats nothing', (text, message) => {
  const { error } = caBundle.safeParse(text);
  expect(error?.issues.map((issue) => issue.message)).toEqual([message]);
  expect(JSON.stringify(error)).not.toContain(SECRET);
});

/** With a name that makes its PEM longer than so many bytes. */
async function longCertificate(bytes: number): Promise<string> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const keys = await crypto.subtle.generateKey(algorithm, false, ['sign', 'verify']);
  const name = `CN=${'x'.repeat(bytes)}`;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name,
    keys,
    signingAlgorithm: { ...algorithm, hash: 'SHA-256' },
  });
  return certificate.toString('pem');
}
