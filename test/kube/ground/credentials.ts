import { generateKeyPair, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { importPair, makeKey } from '../../../lib/identity/key.ts';
import { signingAlgorithm, x509 } from '../../../lib/identity/x509.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Who a kubeconfig or a certificate speaks for. */
export interface KubeUser {
  readonly name: string;
  readonly groups: readonly string[];
}

/** What a kubeconfig shows the API server: a bearer token, or a client certificate and its key, PEM. */
export type KubeCredential = { readonly token: string } | { readonly certificate: string; readonly privateKey: string };

/** All keys and certificates of one cluster, in files as kube-apiserver wants them. */
export class ClusterCredentials {
  readonly folder: string;
  /** PEM of the CA that signs the server's certificate and its clients'. */
  readonly ca: string;
  /** Of a member of system:masters. */
  readonly adminToken: string;
  readonly #key: string;
  #serial = 2;

  private constructor(folder: string, ca: string, key: string) {
    this.folder = folder;
    this.ca = ca;
    this.#key = key;
    this.adminToken = randomBytes(16).toString('hex');
  }

  static async create(folder: string, cluster: string): Promise<ClusterCredentials> {
    await mkdir(folder, { mode: 0o700 });
    const key = await makeKey();
    const keys = await importPair(key);
    const now = Date.now();
    const ca = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '01',
      name: new x509.Name([{ CN: [`${cluster} ca`] }]),
      notBefore: new Date(now - HOUR),
      notAfter: new Date(now + 30 * DAY),
      keys,
      signingAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 1, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    const made = new ClusterCredentials(folder, ca.toString('pem'), key);
    await made.#writeAll();
    return made;
  }

  /** Path of one of the files that `create` wrote. */
  file(name: 'ca.pem' | 'server.pem' | 'server.key' | 'sa.key' | 'sa.pub' | 'tokens.csv'): string {
    return join(this.folder, name);
  }

  /** A client certificate that the API server takes for this user. */
  async issueClient(user: KubeUser): Promise<{ readonly certificate: string; readonly privateKey: string }> {
    const subject = new x509.Name([{ CN: [user.name] }, ...user.groups.map((group) => ({ O: [group] }))]);
    return await this.#issue(subject, x509.ExtendedKeyUsage.clientAuth, []);
  }

  async #writeAll(): Promise<void> {
    const server = await this.#issue(new x509.Name([{ CN: ['kube-apiserver'] }]), x509.ExtendedKeyUsage.serverAuth, [
      { type: 'ip', value: '127.0.0.1' },
      { type: 'dns', value: 'localhost' },
      { type: 'dns', value: 'kubernetes.default.svc' },
    ]);
    // RSA, as kubeadm and most hosted clusters have it.
    const serviceAccounts = await promisify(generateKeyPair)('rsa', {
      modulusLength: 2_048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const files: [Parameters<ClusterCredentials['file']>[0], string][] = [
      ['ca.pem', this.ca],
      ['server.pem', server.certificate],
      ['server.key', server.privateKey],
      ['sa.key', serviceAccounts.privateKey],
      ['sa.pub', serviceAccounts.publicKey],
      ['tokens.csv', `${this.adminToken},admin,admin,"system:masters"\n`],
    ];
    await Promise.all(files.map(([name, text]) => writeFile(this.file(name), text, { mode: 0o600 })));
  }

  async #issue(subject: x509.Name, usage: x509.ExtendedKeyUsage, names: x509.JsonGeneralNames) {
    const privateKey = await makeKey();
    const [{ publicKey }, signer] = await Promise.all([importPair(privateKey), importPair(this.#key)]);
    const now = Date.now();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: (this.#serial++).toString(16).padStart(4, '0'),
      subject,
      issuer: new x509.X509Certificate(this.ca).subjectName,
      notBefore: new Date(now - HOUR),
      notAfter: new Date(now + 30 * DAY),
      publicKey,
      signingKey: signer.privateKey,
      signingAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([usage]),
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
        await x509.AuthorityKeyIdentifierExtension.create(signer.publicKey),
      ],
    });
    return { certificate: certificate.toString('pem'), privateKey };
  }
}

/** The text of a kubeconfig with one cluster, one user and the context that joins them. */
export function kubeconfigText(server: string, ca: string, credential: KubeCredential): string {
  const user =
    'token' in credential
      ? { token: credential.token }
      : {
          'client-certificate-data': base64(credential.certificate),
          'client-key-data': base64(credential.privateKey),
        };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster: { server, 'certificate-authority-data': base64(ca) } }],
    users: [{ name: 'user', user }],
    contexts: [{ name: 'context', context: { cluster: 'cluster', user: 'user' } }],
    'current-context': 'context',
  });
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
