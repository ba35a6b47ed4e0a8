import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { hostMatches, isWildcard } from '../../../lib/domain/host-name.ts';
import type { SecretManifest } from '../../../lib/manifest/manifest.ts';
import type { Certificate } from '../../../proto/gen/headgate/v1/configured.ts';
import type { CertificateInfo } from '../../../proto/gen/headgate/v1/reported.ts';
import type { Fault } from './problems.ts';

/** A certificate that HAProxy will accept, with its key. */
export interface UsableCertificate {
  /** PEM, leaf first, nothing else in it. */
  readonly chain: string;
  /** PEM, PKCS #8. */
  readonly privateKey: string;
  /** Lower case, from the subject alternative name. */
  readonly dnsNames: readonly string[];
  /** Unix milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly fingerprint: string;
  readonly keyType: string;
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
/** OpenSSL's default security level on the distributions we run on refuses shorter ones. */
const LEAST_RSA_BITS = 2048;
const MOST_CERTIFICATES = 10;
/** Those that TLS 1.3 has signatures for (RFC 8446, 4.2.3): with another no client gets through. By OpenSSL's name. */
const CURVES = new Map([
  ['prime256v1', 'P256'],
  ['secp384r1', 'P384'],
  ['secp521r1', 'P521'],
]);

/** @returns the certificate, or why it cannot be used. The fault never quotes the Secret. */
export function readCertificate({ spec }: SecretManifest): UsableCertificate | Fault {
  if (spec.certificate === undefined) return fault('tls.crt', 'is missing', 'make a Secret of type kubernetes.io/tls');
  if (spec.key === undefined) return fault('tls.key', 'is missing', 'make a Secret of type kubernetes.io/tls');
  const blocks = spec.certificate.match(PEM_CERTIFICATE) ?? [];
  if (blocks.length > MOST_CERTIFICATES)
    return fault('tls.crt', 'holds more than 10 certificates', 'leave the chain only');
  const given: X509Certificate[] = [];
  for (const block of blocks) {
    const certificate = attempt(() => new X509Certificate(block));
    if (certificate === undefined) return fault('tls.crt', 'does not parse', 'store the chain in PEM, leaf first');
    given.push(certificate);
  }
  if (given.length === 0) return fault('tls.crt', 'holds no PEM certificate', 'store the chain in PEM, leaf first');
  const text = spec.key;
  const key = attempt(() => createPrivateKey(text));
  if (key === undefined) {
    return fault('tls.key', 'is no private key that can be read', 'store the key in PEM, without a passphrase');
  }
  const keyType = keyTypeOf(key);
  if (keyType === undefined) {
    const kinds = 'RSA of 2048 bits or more nor ECDSA on P-256, P-384 or P-521';
    return fault('tls.key', `is neither ${kinds}`, 'use such a key');
  }
  const leaf = given.find((certificate) => certificate.checkPrivateKey(key));
  if (leaf === undefined) {
    return fault('tls.key', 'matches no certificate of tls.crt', 'store the pair that belongs together');
  }
  const chain = inOrder(leaf, given);
  return {
    chain: chain.map((certificate) => certificate.toString()).join(''),
    privateKey: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    dnsNames: dnsNames(leaf),
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
    fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
    keyType,
  };
}

/** A chain in whatever order: leaf first, each one's issuer after it, then what belongs to none. */
function inOrder(leaf: X509Certificate, given: readonly X509Certificate[]): readonly X509Certificate[] {
  const chain = [leaf];
  let rest = given.filter((one) => one !== leaf);
  for (let last: X509Certificate | undefined = leaf; last !== undefined;) {
    const subject: X509Certificate = last;
    last = rest.find((one) => isIssuer(one, subject));
    if (last === undefined) break;
    chain.push(last);
    rest = rest.filter((one) => one !== last);
  }
  return [...chain, ...rest];
}

/** Names alone do not tell: an authority that renewed its key has the same name twice. */
function isIssuer(one: X509Certificate, subject: X509Certificate): boolean {
  return subject.checkIssued(one) && attempt(() => subject.verify(one.publicKey)) === true;
}

/** Whether the certificate is good for a host, or for a wildcard as a whole: by equality or one label. */
export function covers({ dnsNames }: UsableCertificate, host: string): boolean {
  return dnsNames.some((name) => name === host || (!isWildcard(host) && hostMatches(name, host)));
}

/** Faults that leave the certificate in use. */
export function validityFaults({ notBefore, notAfter }: UsableCertificate, now: number): readonly Fault[] {
  if (now >= notAfter)
    return [{ ...fault('tls.crt', `expired at ${new Date(notAfter).toISOString()}`, 'renew it'), severity: 'warning' }];
  if (now < notBefore) {
    return [
      {
        ...fault('tls.crt', `is not valid before ${new Date(notBefore).toISOString()}`, 'check the clock'),
        severity: 'warning',
      },
    ];
  }
  return [];
}

interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

export function certificateInfo({ namespace, name }: SecretName, certificate: UsableCertificate): CertificateInfo {
  return {
    namespace,
    secret: name,
    dnsNames: certificate.dnsNames,
    notBefore: BigInt(Math.floor(certificate.notBefore / 1000)),
    notAfter: BigInt(Math.floor(certificate.notAfter / 1000)),
    fingerprint: certificate.fingerprint,
    keyType: certificate.keyType,
  };
}

export function ownCertificate(
  { namespace, name }: SecretName,
  { chain, privateKey }: UsableCertificate,
  hosts: readonly string[],
  fallback: boolean,
): Certificate {
  return { namespace, secret: name, hosts, chain, privateKey, fallback };
}

/** Node prints `DNS:a.example, DNS:"quoted, since it holds a comma", IP Address:…`; quoted names are no host names. */
function dnsNames({ subjectAltName }: X509Certificate): readonly string[] {
  const names = (subjectAltName ?? '').split(', ').filter((name) => /^DNS:[^"]+$/.test(name));
  return [...new Set(names.map((name) => name.slice('DNS:'.length).toLowerCase()))].sort();
}

function keyTypeOf(key: KeyObject): string | undefined {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa') return modulusLength >= LEAST_RSA_BITS ? `RSA-${modulusLength}` : undefined;
  const curve = key.asymmetricKeyType === 'ec' ? CURVES.get(namedCurve ?? '') : undefined;
  return curve === undefined ? undefined : `ECDSA-${curve}`;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function fault(key: 'tls.crt' | 'tls.key', message: string, remedy: string): Fault {
  return { code: 'HG1004', field: `data[${key}]`, message: `${key} ${message}`, remedy, severity: 'error' };
}
