import { hash, randomBytes, X509Certificate, type webcrypto } from 'node:crypto';
import { formatSpiffe, type Identity } from './identity.ts';
import { importPair, makeKey, publicKeyOfCsr } from './key.ts';
import { signingAlgorithm, x509 } from './x509.ts';

const hour = 3_600_000;
const day = 24 * hour;

/**
 * Certificates are valid from this long before they are issued, milliseconds: clocks may be an hour wrong
 * either way (promise 18). Renewal counts the lifetime without it.
 */
export const backdate = 2 * hour;

/** Milliseconds from issue to expiry. Tests scale them; X.509 counts in whole seconds. */
export interface Lifetimes {
  readonly control: number;
  readonly gateway: number;
  readonly operator: number;
  /** How long after its expiry a control certificate may still be renewed by its key. */
  readonly grace: number;
}

export const defaultLifetimes: Lifetimes = { control: day, gateway: 30 * day, operator: 365 * day, grace: 7 * day };

const rootLifetime = 3_650 * day;

export interface AuthorityPem {
  readonly certificate: string;
  /** PKCS #8. */
  readonly privateKey: string;
}

export interface LeafRequest {
  /** PKCS #10, DER; every name in it is ignored. */
  readonly csr: Uint8Array;
  /** Unix milliseconds. */
  readonly now: number;
  /** Milliseconds. */
  readonly lifetime: number;
  /** Hex; random when absent. */
  readonly serial?: string;
}

/** CN and DNS SAN of a cluster's gateway leaf: HAProxy can check no URI. */
export function gatewayName(cluster: string): string {
  return `${cluster}.gateway.headgate`;
}

/** A root CA with its key: the fleet has one for control links and one for gateway links. */
export class Authority {
  readonly pem: AuthorityPem;
  readonly certificate: X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;

  private constructor(pem: AuthorityPem, keys: webcrypto.CryptoKeyPair) {
    this.pem = pem;
    this.certificate = new X509Certificate(pem.certificate);
    this.#keys = keys;
  }

  /**
   * A new self-signed root, valid ten years.
   *
   * @param name shown to people, e.g. "Headgate control CA".
   * @param now Unix milliseconds.
   */
  static async create(name: string, fleet: string, now: number): Promise<Authority> {
    const privateKey = await makeKey();
    const keys = await importPair(privateKey);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: randomSerial(),
      name: subject(name, fleet),
      notBefore: new Date(now - backdate),
      notAfter: new Date(now + rootLifetime),
      keys,
      signingAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 1, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new Authority({ certificate: certificate.toString('pem'), privateKey }, keys);
  }

  static async load(pem: AuthorityPem): Promise<Authority> {
    return new Authority(pem, await importPair(pem.privateKey));
  }

  /** Leaf for a control link, PEM: the URI SAN says who it is. Throws HG2005 for a bad CSR. */
  async issueControl(identity: Identity, request: LeafRequest): Promise<string> {
    const people =
      identity.kind === 'hub' ? identity.id : identity.kind === 'cluster' ? identity.cluster : identity.node;
    return this.#issue(request, subject(`${identity.kind} ${people}`, identity.fleet), {
      type: 'url',
      value: formatSpiffe(identity),
    });
  }

  /** Leaf for a cluster's gateway link, PEM. Throws HG2005 for a bad CSR. */
  async issueGateway(cluster: string, request: LeafRequest): Promise<string> {
    const name = gatewayName(cluster);
    return this.#issue(request, new x509.Name([{ CN: [name] }]), { type: 'dns', value: name });
  }

  /** Client leaf for the admin API, PEM: `spiffe://<fleet>/operator/<role>`, never an agent's or a hub's identity. */
  async issueOperator(fleet: string, role: string, request: LeafRequest): Promise<string> {
    return this.#issue(request, subject(`operator ${role}`, fleet), {
      type: 'url',
      value: `spiffe://${fleet}/operator/${role}`,
    });
  }

  async #issue(request: LeafRequest, name: x509.Name, alternative: x509.JsonGeneralName): Promise<string> {
    const publicKey = await publicKeyOfCsr(request.csr);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: request.serial ?? randomSerial(),
      subject: name,
      issuer: new x509.X509Certificate(this.pem.certificate).subjectName,
      notBefore: new Date(request.now - backdate),
      notAfter: new Date(request.now + request.lifetime),
      publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([alternative]),
        await x509.AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
      ],
    });
    return `${certificate.toString('pem')}\n`;
  }
}

/**
 * Names the set of keys that requests ask certificates for, base64url: a join token may be redeemed again by
 * the same keys only. Throws HG2005 for a bad CSR.
 */
export async function csrKeysHash(csrs: readonly Uint8Array[]): Promise<string> {
  const keys = await Promise.all(csrs.map((csr) => publicKeyOfCsr(csr)));
  // SubjectPublicKeyInfo of P-256 has one fixed length, so joining is unambiguous.
  return hash('sha256', Buffer.concat(keys.map((key) => Buffer.from(key.rawData))), 'base64url');
}

function subject(name: string, fleet: string): x509.Name {
  return new x509.Name([{ O: [fleet] }, { CN: [name] }]);
}

/** 16 random bytes, the first bit clear so that the DER integer stays positive. */
function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return bytes.toString('hex');
}
