import { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { blocksBegun, pemBlocks } from '../pem.ts';

/** Bytes of certificates: they go to HAProxy as one runtime command, and with every route that has them. */
export const MOST_CA_BYTES = 14_000;
/** Bytes, with what stands around them. */
const MOST_TEXT = 64 * 1024;
const MOST_CERTIFICATES = 16;
const remedy = 'write the certificates of the CAs one after another, each from its BEGIN to its END line';

/**
 * 1 to 16 certificates in PEM, which comes out anew from what was read: whatever stands around them goes no
 * further (RFC 7468, 2). No part of the text is repeated in a fault, since it may be a key.
 */
export const caBundle = z
  .string()
  .meta({ maxLength: MOST_TEXT })
  .transform((text, context): string => {
    const read = readBundle(text);
    if (typeof read !== 'string') return read.pem;
    context.addIssue({ code: 'custom', message: read, params: { remedy } });
    return z.NEVER;
  });

/** @returns what is wrong, or the bundle. */
function readBundle(text: string): string | { readonly pem: string } {
  if (Buffer.byteLength(text) > MOST_TEXT) return `must have at most ${MOST_TEXT} bytes`;
  const blocks = pemBlocks(text);
  if (blocks.some(({ label }) => label !== 'CERTIFICATE')) return 'must hold certificates alone, no keys';
  // A block that is not closed, or has a stray dash, is none of those found.
  if (blocks.length !== blocksBegun(text)) return 'holds a PEM block that is not complete';
  if (blocks.length === 0 || blocks.length > MOST_CERTIFICATES)
    return `must hold 1 to ${MOST_CERTIFICATES} certificates in PEM`;
  const certificates: string[] = [];
  for (const [at, one] of blocks.entries()) {
    try {
      certificates.push(new X509Certificate(one.text).toString());
    } catch {
      return `certificate ${at + 1} cannot be read`;
    }
  }
  const pem = certificates.join('');
  return pem.length > MOST_CA_BYTES ? `must hold certificates of at most ${MOST_CA_BYTES} bytes` : { pem };
}
