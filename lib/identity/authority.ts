import { hash, randomBytes, X509Certificate, type webcrypto } from 'node:crypto';
import { formatSpiffe, nodeIssuerName, type Identity } from './identity.ts';
import { importPair, makeKey, publicKeyOfCsr } from './key.ts';
import { signingAlgorithm, x509 } from './x509.ts';

const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;

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
  /** Of a cluster agent's own CAs: what its nodes can do without the hub. */
  readonly issuer: number;
  readonly operator: number;
  /** How long after its expiry a control certificate may still be renewed by its key. */
  readonly grace: number;
}

export const defaultLifetimes: Lifetimes = {
  control: day,
  gateway: 30 * day,
  issuer: 30 * day,
  operator: 365 * day,
  grace: 7 * day,
};

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

/** DNS SAN of a cluster's gateway leaf: HAProxy can check no URI. Also the CN of that leaf or of its issuer. */
export function gatewayName(cluster: string): string {
  return `${cluster}.gateway.headgate`;
}

/** The fleet's roots, and what lies below: control links, gateway links, and links between nodes and cluster agents. */
export type AuthorityKind = 'control' | 'gateway' | 'node';

/**
 * A CA with its key: a root of the fleet, or below it the one that a cluster agent issues its nodes' leaves from.
 */
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

  /** As `issueControl`, for who only serves: nobody takes it from a client. */
  async issueServer(identity: Identity, request: LeafRequest): Promise<string> {
    const alternative = { type: 'url', value: formatSpiffe(identity) } as const;
    return this.#issue(request, subject(`${identity.kind} server`, identity.fleet), alternative, [serverAuth]);
  }

  /**
   * Leaf for a cluster's gateway link, PEM. One from a root has its name as CN too. One from a cluster's CA has no
   * subject: its issuer's CN says the cluster. Throws HG2005 for a bad CSR.
   */
  async issueGateway(cluster: string, request: LeafRequest): Promise<string> {
    const name = gatewayName(cluster);
    const subjectName = new x509.Name(this.#isRoot ? [{ CN: [name] }] : []);
    return this.#issue(request, subjectName, { type: 'dns', value: name });
  }

  /** CA for the control leaves of a cluster's nodes, PEM. Throws HG2005 for a bad CSR. */
  async issueNodeIssuer(fleet: string, cluster: string, request: LeafRequest): Promise<string> {
    return this.#issueAuthority(request, subject(nodeIssuerName(cluster), fleet), []);
  }

  /**
   * CA for the gateway leaves of a cluster's nodes, PEM. X.509 itself keeps it to its cluster: no DNS name but the
   * cluster's, and no subject at all in a leaf, because HAProxy takes any CN for a name and no constraint reaches
   * every CN of a certificate that has a DNS SAN. Throws HG2005 for a bad CSR.
   */
  async issueGatewayIssuer(cluster: string, request: LeafRequest): Promise<string> {
    const name = gatewayName(cluster);
    return this.#issueAuthority(request, new x509.Name([{ CN: [name] }]), [gatewayConstraints(name)]);
  }

  /** Client leaf for the admin API, PEM: `spiffe://<fleet>/operator/<role>`, never an agent's or a hub's identity. */
  async issueOperator(fleet: string, role: string, request: LeafRequest): Promise<string> {
    return this.#issue(request, subject(`operator ${role}`, fleet), {
      type: 'url',
      value: `spiffe://${fleet}/operator/${role}`,
    });
  }

  get #isRoot(): boolean {
    return this.certificate.subject === this.certificate.issuer;
  }

  #issue(
    request: LeafRequest,
    name: x509.Name,
    alternative: x509.JsonGeneralName,
    usages = [serverAuth, clientAuth],
  ): Promise<string> {
    // RFC 5280, 4.2.1.6: the only name is critical.
    const critical = name.toJSON().length === 0;
    return this.#sign(request, name, () => [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages),
      new x509.SubjectAlternativeNameExtension([alternative], critical),
    ]);
  }

  #issueAuthority(request: LeafRequest, name: x509.Name, constraints: readonly x509.Extension[]): Promise<string> {
    return this.#sign(request, name, async (publicKey) => [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      ...constraints,
    ]);
  }

  async #sign(
    { csr, serial = randomSerial(), now, lifetime }: LeafRequest,
    subjectName: x509.Name,
    extensions: (publicKey: x509.PublicKey) => x509.Extension[] | Promise<x509.Extension[]>,
  ): Promise<string> {
    const publicKey = await publicKeyOfCsr(csr);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial,
      subject: subjectName,
      issuer: new x509.X509Certificate(this.pem.certificate).subjectName,
      notBefore: new Date(now - backdate),
      // Never longer than what it hangs from.
      notAfter: new Date(Math.min(now + lifetime, this.certificate.validToDate.getTime())),
      publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm,
      extensions: [
        ...(await extensions(publicKey)),
        await x509.AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
      ],
    });
    return `${certificate.toString('pem')}\n`;
  }
}

/**
 * RFC 5280, 4.2.1.10: permitted is one DNS name; excluded is the empty directory name, which every subject begins
 * with that is not empty.
 */
function gatewayConstraints(name: string): x509.Extension {
  const permitted = der(0xa0, der(0x30, der(0x82, Buffer.from(name, 'ascii'))));
  const excluded = der(0xa1, der(0x30, der(0xa4, der(0x30))));
  return new x509.Extension('2.5.29.30', true, der(0x30, permitted, excluded));
}

/** A DER value of less than 128 bytes: a gateway's name has at most 80. */
function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, content.length]), content]);
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
