import { createPrivateKey, X509Certificate } from 'node:crypto';
import { HeadgateError } from '../../../lib/errors.ts';
import { pemBlocks } from '../../../lib/pem.ts';
import { MOST_CA_BYTES } from '../../../lib/policy/ca-bundle.ts';

/** The largest PEM that one runtime command can carry, in bytes. */
const MAX_PEM = 14_000;

/**
 * Chain and key as one PEM, written anew from what they mean: whatever stood between or in the blocks (blank lines,
 * lone carriage returns, text) could end the payload of a runtime command or keep it from being sent. Checked,
 * because one unusable file would fail a whole reload.
 * @throws HG1004 where certificate and key are unusable or do not match, HG5005 where they are too large.
 */
export function combinedPem(chain: string, privateKey: string): string {
  const pem = attempt(() => {
    const certificates = blocksOf(chain).map((text) => new X509Certificate(text));
    const key = createPrivateKey(blocksOf(privateKey)[0] ?? '');
    if (certificates[0]?.checkPrivateKey(key) !== true) throw new Error('the key is not the certificate’s');
    return certificates.join('') + key.export({ type: 'pkcs8', format: 'pem' }).toString();
  });
  if (pem.length > MAX_PEM) {
    throw new HeadgateError('HG5005', `the certificate chain with its key has more than ${MAX_PEM} bytes`, {
      remedy: 'leave the root certificate out of the chain',
    });
  }
  return pem;
}

/**
 * CAs as one PEM, written anew from what they mean.
 * @throws HG1004 where one is no certificate, HG5005 where they are too many.
 */
export function authorityPem(text: string): string {
  let pem: string;
  try {
    pem = blocksOf(text)
      .map((one) => String(new X509Certificate(one)))
      .join('');
  } catch (error) {
    throw new HeadgateError('HG1004', 'the CA to verify by cannot be used', { cause: error });
  }
  if (pem === '') throw new HeadgateError('HG1004', 'the CA to verify by holds no certificate');
  if (pem.length > MOST_CA_BYTES) {
    throw new HeadgateError('HG5005', `the CAs to verify by have more than ${MOST_CA_BYTES} bytes`, {
      remedy: 'name only those that the endpoints’ certificates are issued by',
    });
  }
  return pem;
}

/** Blank lines and blanks round lines are common, and OpenSSL takes none. */
function blocksOf(text: string): string[] {
  return pemBlocks(text).map((one) => one.text.split(/\s*\n\s*/).join('\n'));
}

function attempt(combine: () => string): string {
  try {
    return combine();
  } catch (error) {
    throw new HeadgateError('HG1004', 'the certificate and its key cannot be used together', { cause: error });
  }
}
