import { expect, test } from 'vitest';
import { HeadgateError } from '../../../lib/errors.ts';
import { testCa } from '../testing/certificates.fixture.ts';
import { combinedPem } from './pem.ts';

test('whatever stands in a chain and its key, what comes out is blocks of base64 and nothing else', async () => {
  const { certificate, key } = await (await testCa()).leaf('a.example');
  const plain = combinedPem(certificate, key);
  expect(plain).toMatch(
    /^-----BEGIN CERTIFICATE-----\n(?:[\w+/=]+\n)+-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n(?:[\w+/=]+\n)+-----END PRIVATE KEY-----\n$/,
  );
  for (const disguised of [
    certificate.replaceAll('\n', '\r\n'),
    certificate.replaceAll('\n', '\n\n'),
    `x\n${certificate}\n;y`,
  ]) {
    expect(combinedPem(disguised, key)).toBe(plain);
  }
  for (const end of ['\r', '\0', '\n\n; show env\n']) {
    for (const at of [30, 100, certificate.length - 40]) {
      const spoilt = certificate.slice(0, at) + end + certificate.slice(at);
      // Either it means the same, or it is refused.
      expect([plain, 'HG1004']).toContain(outcome(spoilt, key));
    }
  }
  expect(() => combinedPem('x', key)).toThrow(expect.objectContaining({ code: 'HG1004' }));
});

function outcome(chain: string, key: string): string {
  try {
    return combinedPem(chain, key);
  } catch (error) {
    return HeadgateError.from(error).code;
  }
}
