import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { fullJitter, type Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import {
  Authority,
  defaultLifetimes,
  type AuthorityKind,
  type LeafRequest,
  type Lifetimes,
} from '../../lib/identity/authority.ts';
import { spkiHash } from '../../lib/identity/certificate.ts';
import { labelPattern, type Identity } from '../../lib/identity/identity.ts';
import { makeKeyAndCsr } from '../../lib/identity/key.ts';
import { renewalDelay, renewalPace } from '../../lib/identity/renewal.ts';
import type { TlsCredentials } from '../../lib/identity/tls-credentials.ts';
import type { Log } from '../../lib/log.ts';
import type { Credentials, IssuerRequest, Issuers } from '../../proto/gen/headgate/v1/enrolment.ts';
import { keys } from '../store/keys.ts';
import type { Entry, Operation, Store } from '../store/store.ts';
import { parseJson, toJson } from './record.ts';
import { KeyEncryptionKey } from './seal.ts';
import { serialAt, type Moment } from '../../lib/identity/serial.ts';

export interface HubAuthorityOptions {
  readonly store: Store;
  /** The key-encryption key's file; made at the fleet's first start. */
  readonly kekFile: string;
  /** RFC 1123 label of this replica; drawn when absent. */
  readonly hubId?: string;
  /** Name of a fleet that does not exist yet; a fleet keeps the name it was made with. */
  readonly fleetName?: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly lifetimes?: Lifetimes;
}

const schema = z.strictObject({
  fleet: z.string().regex(labelPattern),
  certificate: z.string(),
  /** Sealed PKCS #8 PEM, base64. */
  privateKey: z.string(),
});

/** What an agent asks certificates for. */
export interface CsrRequest {
  readonly controlCsr: Uint8Array;
  readonly gatewayCsr: Uint8Array;
  readonly issuers: Pick<IssuerRequest, 'nodeCsr' | 'gatewayCsr'> | undefined;
}

/**
 * The fleet's roots, and this hub's own certificate, which it renews by itself. Cluster agents' CAs for control
 * links hang from a root of their own, which no hub trusts: nothing that is issued in a cluster can be a hub, a
 * cluster agent or an operator.
 */
export class HubAuthority implements AsyncDisposable {
  readonly fleetName: string;
  readonly hubId: string;
  readonly lifetimes: Lifetimes;
  readonly #options: HubAuthorityOptions;
  readonly #roots: Roots;
  readonly #listeners = new Set<(credentials: TlsCredentials) => void>();
  readonly #stop = new AbortController();
  #server: TlsCredentials;
  readonly #renewing: Promise<void>;

  private constructor(options: HubAuthorityOptions, hubId: string, fleet: Fleet, server: TlsCredentials) {
    this.#options = options;
    this.hubId = hubId;
    this.fleetName = fleet.name;
    this.lifetimes = options.lifetimes ?? defaultLifetimes;
    this.#roots = fleet.roots;
    this.#server = server;
    this.#renewing = this.#renew();
  }

  /** Loads the fleet's CAs, or makes them. Throws HG2003 and HG4003 about the key file, HG4001 of the store. */
  static async open(options: HubAuthorityOptions): Promise<HubAuthority> {
    const fleet = await openFleet(options);
    const hubId = options.hubId ?? `hub-${randomBytes(4).toString('hex')}`;
    const lifetimes = options.lifetimes ?? defaultLifetimes;
    return new HubAuthority(options, hubId, fleet, await serverCredentials(options, hubId, fleet, lifetimes));
  }

  /** PEM bundle that control links are checked against. */
  get controlCa(): string {
    return this.#roots.control.pem.certificate;
  }

  /** PEM bundle that gateway links are checked against. */
  get gatewayCa(): string {
    return this.#roots.gateway.pem.certificate;
  }

  get control(): Authority {
    return this.#roots.control;
  }

  /** SPKI hash of the control root, for join tokens. */
  get rootSpki(): string {
    return spkiHash(this.#roots.control.certificate);
  }

  /** This hub's own, `spiffe://<fleet>/hub/<id>`; ask anew after `onServerCredentials`. */
  serverCredentials(): TlsCredentials {
    return this.#server;
  }

  /** Calls back when the hub's own certificate was renewed. Returns an undo. */
  onServerCredentials(listener: (credentials: TlsCredentials) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Certificates for an agent; only the CSRs' keys are looked at. Throws HG2005 for a bad CSR. */
  async issue(
    identity: Extract<Identity, { readonly cluster: string }>,
    asked: CsrRequest,
    node: string,
    at: Moment,
  ): Promise<Credentials> {
    const { lifetimes } = this;
    const { control, gateway } = this.#roots;
    const { cluster } = identity;
    return {
      fleet: this.fleetName,
      cluster,
      node,
      controlCertificate: await control.issueControl(identity, this.#request(asked.controlCsr, lifetimes.control, at)),
      controlCa: this.controlCa,
      gatewayCertificate: await gateway.issueGateway(cluster, this.#request(asked.gatewayCsr, lifetimes.gateway, at)),
      gatewayCa: this.gatewayCa,
      issuers:
        identity.kind === 'cluster' && asked.issuers !== undefined
          ? await this.#issuers(identity, { ...asked.issuers, controlCsr: asked.controlCsr }, at)
          : undefined,
    };
  }

  async #issuers(
    identity: Extract<Identity, { readonly kind: 'cluster' }>,
    asked: Pick<IssuerRequest, 'nodeCsr' | 'gatewayCsr'> & Pick<CsrRequest, 'controlCsr'>,
    at: Moment,
  ): Promise<Issuers> {
    const { control, node, gateway } = this.#roots;
    const { cluster } = identity;
    const { issuer } = this.lifetimes;
    return {
      nodeCertificate: await node.issueNodeIssuer(this.fleetName, cluster, this.#request(asked.nodeCsr, issuer, at)),
      nodeCa: node.pem.certificate,
      gatewayCertificate: await gateway.issueGatewayIssuer(cluster, this.#request(asked.gatewayCsr, issuer, at)),
      serverCertificate: await control.issueServer(identity, this.#request(asked.controlCsr, issuer, at)),
    };
  }

  #request(csr: Uint8Array, lifetime: number, at: Moment): LeafRequest {
    return { csr, now: this.#options.clock.wall(), lifetime, serial: serialAt(at) };
  }

  /** A client certificate for the admin API, with its key. */
  async operatorCredentials(role: string): Promise<TlsCredentials> {
    const { privateKey, csr } = await makeKeyAndCsr();
    const request = { csr, now: this.#options.clock.wall(), lifetime: this.lifetimes.operator };
    const certificate = await this.#roots.control.issueOperator(this.fleetName, role, request);
    return { certificate, privateKey, ca: this.controlCa };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#renewing;
  }

  async #renew(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stop;
    let wait = renewalDelay(this.#server.certificate, clock);
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        await clock.sleep(wait, signal);
        const fleet = { name: this.fleetName, roots: this.#roots };
        this.#server = await serverCredentials(this.#options, this.hubId, fleet, this.lifetimes);
        for (const listener of this.#listeners) listener(this.#server);
        const { certificate } = this.#server;
        wait = Math.max(renewalDelay(certificate, clock), renewalPace(certificate));
        attempt = -1;
      } catch (error) {
        if (signal.aborted) return;
        wait = fullJitter(clock, attempt);
        log.error('cannot renew the hub certificate; trying again', { error });
      }
    }
  }
}

type Roots = Readonly<Record<AuthorityKind, Authority>>;

interface Fleet {
  readonly name: string;
  readonly roots: Roots;
}

const rootKinds = ['control', 'gateway', 'node'] as const satisfies readonly AuthorityKind[];

/** Loads the roots; makes those that are missing: all of them for a new fleet. */
async function openFleet(options: HubAuthorityOptions): Promise<Fleet> {
  const { store, kekFile, clock, log } = options;
  const stored = await storedRoots(store, kekFile);
  if (stored.has('control') !== stored.has('gateway')) {
    throw new HeadgateError('HG4003', 'the store holds one of the authorities only');
  }
  const missing = rootKinds.filter((kind) => !stored.has(kind));
  if (missing.length === 0) return fleetOf(stored);
  const name = stored.get('control')?.fleet ?? options.fleetName ?? 'fleet';
  const kek = stored.size === 0 ? await KeyEncryptionKey.readOrCreate(kekFile) : await KeyEncryptionKey.read(kekFile);
  const operations: Operation[] = [];
  for (const kind of missing) {
    const { certificate, privateKey } = (await Authority.create(`Headgate ${kind} CA`, name, clock.wall())).pem;
    const key = keys.authority(kind);
    const sealed = kek.seal(Buffer.from(privateKey), key).toString('base64');
    operations.push({ kind: 'put', key, value: toJson({ fleet: name, certificate, privateKey: sealed }) });
  }
  const commit = await store.transact({
    conditions: missing.map((kind) => ({ key: keys.authority(kind), createRevision: 0n })),
    operations,
  });
  if (commit.committed) log.info('made authorities', { fleet: name, authorities: missing });
  // Where another hub was first, its authorities are the fleet's.
  return fleetOf(await storedRoots(store, kekFile));
}

interface StoredRoot {
  readonly fleet: string;
  readonly authority: Authority;
}

async function storedRoots(store: Store, kekFile: string): Promise<Map<AuthorityKind, StoredRoot>> {
  const roots = new Map<AuthorityKind, StoredRoot>();
  for (const kind of rootKinds) {
    const entry = await store.get(keys.authority(kind));
    if (entry !== undefined) roots.set(kind, await load(entry, await KeyEncryptionKey.read(kekFile)));
  }
  return roots;
}

/** @throws HG4003 */
function fleetOf(roots: ReadonlyMap<AuthorityKind, StoredRoot>): Fleet {
  const [control, gateway, node] = rootKinds.map((kind) => roots.get(kind));
  if (control === undefined || gateway === undefined || node === undefined) {
    throw new HeadgateError('HG4003', 'the store lacks an authority of the fleet');
  }
  return {
    name: control.fleet,
    roots: { control: control.authority, gateway: gateway.authority, node: node.authority },
  };
}

async function load(entry: Entry, kek: KeyEncryptionKey): Promise<StoredRoot> {
  const record = schema.safeParse(parseJson(entry.value));
  if (!record.success) throw new HeadgateError('HG4003', `'${entry.key}' is no authority`, { cause: record.error });
  const { fleet, certificate, privateKey } = record.data;
  const key = kek.unseal(Buffer.from(privateKey, 'base64'), entry.key).toString('utf8');
  return { fleet, authority: await Authority.load({ certificate, privateKey: key }) };
}

async function serverCredentials(
  options: HubAuthorityOptions,
  hubId: string,
  fleet: Fleet,
  lifetimes: Lifetimes,
): Promise<TlsCredentials> {
  const { privateKey, csr } = await makeKeyAndCsr();
  const { control } = fleet.roots;
  const ca = control.pem.certificate;
  const leaf = await control.issueControl(
    { kind: 'hub', fleet: fleet.name, id: hubId },
    { csr, now: options.clock.wall(), lifetime: lifetimes.control },
  );
  return { certificate: `${leaf}${ca}`, privateKey, ca };
}
