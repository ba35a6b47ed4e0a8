import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { fullJitter, type Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { Authority, defaultLifetimes, type Lifetimes } from '../../lib/identity/authority.ts';
import { spkiHash } from '../../lib/identity/certificate.ts';
import { labelPattern, type Identity } from '../../lib/identity/identity.ts';
import { makeKeyAndCsr } from '../../lib/identity/key.ts';
import { renewalDelay, renewalPace } from '../../lib/identity/renewal.ts';
import type { TlsCredentials } from '../../lib/identity/tls-credentials.ts';
import type { Log } from '../../lib/log.ts';
import type { Credentials } from '../../proto/gen/headgate/v1/enrolment.ts';
import { keys } from '../store/keys.ts';
import type { Entry, Store } from '../store/store.ts';
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

const controlKey = keys.authority('control');
const gatewayKey = keys.authority('gateway');

/** The fleet's two CAs, and this hub's own certificate, which it renews by itself. */
export class HubAuthority implements AsyncDisposable {
  readonly fleetName: string;
  readonly hubId: string;
  readonly lifetimes: Lifetimes;
  readonly #options: HubAuthorityOptions;
  readonly #control: Authority;
  readonly #gateway: Authority;
  readonly #listeners = new Set<(credentials: TlsCredentials) => void>();
  readonly #stop = new AbortController();
  #server: TlsCredentials;
  readonly #renewing: Promise<void>;

  private constructor(options: HubAuthorityOptions, hubId: string, fleet: Fleet, server: TlsCredentials) {
    this.#options = options;
    this.hubId = hubId;
    this.fleetName = fleet.name;
    this.lifetimes = options.lifetimes ?? defaultLifetimes;
    this.#control = fleet.control;
    this.#gateway = fleet.gateway;
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
    return this.#control.pem.certificate;
  }

  /** PEM bundle that gateway links are checked against. */
  get gatewayCa(): string {
    return this.#gateway.pem.certificate;
  }

  get control(): Authority {
    return this.#control;
  }

  /** SPKI hash of the control root, for join tokens. */
  get rootSpki(): string {
    return spkiHash(this.#control.certificate);
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
    csrs: { readonly controlCsr: Uint8Array; readonly gatewayCsr: Uint8Array },
    node: string,
    at: Moment,
  ): Promise<Credentials> {
    const { lifetimes } = this;
    const now = this.#options.clock.wall();
    const request = (csr: Uint8Array, lifetime: number) => ({ csr, now, lifetime, serial: serialAt(at) });
    return {
      fleet: this.fleetName,
      cluster: identity.cluster,
      node,
      controlCertificate: await this.#control.issueControl(identity, request(csrs.controlCsr, lifetimes.control)),
      controlCa: this.controlCa,
      gatewayCertificate: await this.#gateway.issueGateway(
        identity.cluster,
        request(csrs.gatewayCsr, lifetimes.gateway),
      ),
      gatewayCa: this.gatewayCa,
    };
  }

  /** A client certificate for the admin API, with its key. */
  async operatorCredentials(role: string): Promise<TlsCredentials> {
    const { privateKey, csr } = await makeKeyAndCsr();
    const request = { csr, now: this.#options.clock.wall(), lifetime: this.lifetimes.operator };
    const certificate = await this.#control.issueOperator(this.fleetName, role, request);
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
        const fleet = { name: this.fleetName, control: this.#control, gateway: this.#gateway };
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

interface Fleet {
  readonly name: string;
  readonly control: Authority;
  readonly gateway: Authority;
}

async function openFleet(options: HubAuthorityOptions): Promise<Fleet> {
  const { store, kekFile, clock, log } = options;
  const found = await storedFleet(store, kekFile);
  if (found !== undefined) return found;
  const name = options.fleetName ?? 'fleet';
  const kek = await KeyEncryptionKey.readOrCreate(kekFile);
  const control = await Authority.create('Headgate control CA', name, clock.wall());
  const gateway = await Authority.create('Headgate gateway CA', name, clock.wall());
  const put = (key: string, authority: Authority) => {
    const { certificate, privateKey } = authority.pem;
    const sealed = kek.seal(Buffer.from(privateKey), key).toString('base64');
    return { kind: 'put', key, value: toJson({ fleet: name, certificate, privateKey: sealed }) } as const;
  };
  const commit = await store.transact({
    conditions: [
      { key: controlKey, createRevision: 0n },
      { key: gatewayKey, createRevision: 0n },
    ],
    operations: [put(controlKey, control), put(gatewayKey, gateway)],
  });
  if (commit.committed) {
    log.info('made the authorities of a new fleet', { fleet: name });
    return { name, control, gateway };
  }
  // Another hub started at the same time; its authorities are the fleet's.
  const theirs = await storedFleet(store, kekFile);
  if (theirs === undefined) throw new HeadgateError('HG4003', 'the store holds one of the two authorities only');
  return theirs;
}

async function storedFleet(store: Store, kekFile: string): Promise<Fleet | undefined> {
  const [control, gateway] = await Promise.all([store.get(controlKey), store.get(gatewayKey)]);
  if (control === undefined || gateway === undefined) return undefined;
  const kek = await KeyEncryptionKey.read(kekFile);
  const [first, second] = await Promise.all([load(control, kek), load(gateway, kek)]);
  return { name: first.fleet, control: first.authority, gateway: second.authority };
}

async function load(entry: Entry, kek: KeyEncryptionKey): Promise<{ fleet: string; authority: Authority }> {
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
  const ca = fleet.control.pem.certificate;
  const leaf = await fleet.control.issueControl(
    { kind: 'hub', fleet: fleet.name, id: hubId },
    { csr, now: options.clock.wall(), lifetime: lifetimes.control },
  );
  return { certificate: `${leaf}${ca}`, privateKey, ca };
}
