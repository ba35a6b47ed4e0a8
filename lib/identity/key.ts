import { createPrivateKey, webcrypto } from 'node:crypto';
import { HeadgateError } from '../errors.ts';
import { keyAlgorithm, signingAlgorithm, x509 } from './x509.ts';

/** Bytes that a CSR may have; ours are about 250. */
const maxCsrBytes = 4_096;

export interface KeyAndCsr {
  /** PKCS #8, PEM. */
  readonly privateKey: string;
  /** PKCS #10, DER, without any name: the issuer decides those. */
  readonly csr: Buffer;
}

/** A new P-256 key as PKCS #8 PEM. */
export async function makeKey(): Promise<string> {
  const { privateKey } = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  const der = await webcrypto.subtle.exportKey('pkcs8', privateKey);
  return x509.PemConverter.encode(der, x509.PemConverter.PrivateKeyTag);
}

/** The certificate request for an existing key. ECDSA signs with a nonce, so two requests of one key differ. */
export async function makeCsr(privateKey: string): Promise<Buffer> {
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: await importPair(privateKey),
    signingAlgorithm,
  });
  return Buffer.from(request.rawData);
}

export async function makeKeyAndCsr(): Promise<KeyAndCsr> {
  const privateKey = await makeKey();
  return { privateKey, csr: await makeCsr(privateKey) };
}

/**
 * The public key of a PKCS #10 request whose signature by that key holds; nothing else of it is looked at.
 *
 * @throws HG2005 when it is malformed, too large, not P-256 or not signed by its own key.
 */
export async function publicKeyOfCsr(csr: Uint8Array): Promise<x509.PublicKey> {
  if (csr.length === 0 || csr.length > maxCsrBytes) {
    throw new HeadgateError('HG2005', `a certificate request has ${csr.length} bytes, not 1 to ${maxCsrBytes}`);
  }
  let request: x509.Pkcs10CertificateRequest;
  let signed: boolean;
  try {
    // Copied: the library keeps hold of the whole buffer behind a view.
    request = new x509.Pkcs10CertificateRequest(Uint8Array.from(csr).buffer);
    const algorithm = request.publicKey.algorithm as { name?: string; namedCurve?: string };
    if (algorithm.name !== keyAlgorithm.name || algorithm.namedCurve !== keyAlgorithm.namedCurve) {
      throw new HeadgateError('HG2005', 'a certificate request is not for an ECDSA P-256 key');
    }
    signed = await request.verify();
  } catch (cause) {
    if (cause instanceof HeadgateError) throw cause;
    throw new HeadgateError('HG2005', 'a certificate request does not parse', { cause });
  }
  if (!signed) throw new HeadgateError('HG2005', 'a certificate request is not signed by its own key');
  return request.publicKey;
}

/** Both halves of a PKCS #8 PEM key, for the X.509 library. */
export async function importPair(privateKey: string): Promise<webcrypto.CryptoKeyPair> {
  const key = createPrivateKey(privateKey);
  const jwk = key.export({ format: 'jwk' });
  const { d: _, ...publicJwk } = jwk;
  return {
    privateKey: await webcrypto.subtle.importKey('jwk', jwk, keyAlgorithm, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('jwk', publicJwk, keyAlgorithm, true, ['verify']),
  };
}
