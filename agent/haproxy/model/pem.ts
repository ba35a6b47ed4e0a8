import { createPrivateKey, X509Certificate } from 'node:crypto';
import { HeadgateError } from '../../../lib/errors.ts';

const block = /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g;

/** The largest PEM that one runtime command can carry, in bytes. */
export const MAX_PEM = 14_000;

/**
 * Chain and key as one PEM without blank lines or text between blocks: a blank line would end the payload of a
 * runtime command. Checked, because one unusable file would fail a whole reload.
 * @throws HG1004 where certificate and key are unusable or do not match, HG5005 where they are too large.
 */
export function combinedPem(chain: string, privateKey: string): string {
  const blocks = [...(chain.match(block) ?? []), ...(privateKey.match(block) ?? []).slice(0, 1)];
  const pem = blocks.map((text) => `${text.split(/\s*\n\s*/).join('\n')}\n`).join('');
  try {
    const [leaf] = (chain.match(block) ?? []).map((text) => new X509Certificate(text));
    if (leaf?.checkPrivateKey(createPrivateKey(privateKey)) !== true)
      throw new Error('the key is not the certificate’s');
  } catch (error) {
    throw new HeadgateError('HG1004', 'the certificate and its key cannot be used together', { cause: error });
  }
  if (pem.length > MAX_PEM) {
    throw new HeadgateError('HG5005', `the certificate chain with its key has more than ${MAX_PEM} bytes`, {
      remedy: 'leave the root certificate out of the chain',
    });
  }
  return pem;
}
