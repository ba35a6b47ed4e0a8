import { sign, X509Certificate } from 'node:crypto';
import { fullJitter, type Clock } from '../../lib/clock.ts';
import { formatAddress, type Address } from '../../lib/config/address.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Identity } from '../../lib/identity/identity.ts';
import { makeCsr } from '../../lib/identity/key.ts';
import { readPrivateFile } from '../../lib/identity/private-file.ts';
import { renewalDelay, renewalPace } from '../../lib/identity/renewal.ts';
import { parseToken, type TokenRole } from '../../lib/identity/token.ts';
import type { Log } from '../../lib/log.ts';
import { pemBlocks } from '../../lib/pem.ts';
import { dialRpc, fetchPinnedRoot, type RpcConnection } from '../../lib/rpc/index.ts';
import { IdentityFiles, joinCredentials, makeKeys, type AgentCredentials, type AgentKeys } from './identity-files.ts';

export interface AgentIdentityOptions {
  /** The agent's data folder. */
  readonly folder: string;
  /** In the order to try; for a node agent apart its cluster agent. */
  readonly hubs: readonly Address[];
  /** Where a join token is, read only while there is no identity. */
  readonly join: JoinSource | undefined;
  readonly cluster: string;
  /** RFC 1123 label. */
  readonly node: string;
  /** `node` for a node agent apart; the cluster agent's identity serves its own node as well. */
  readonly role: TokenRole;
  /** Of a cluster agent; a node agent apart has none to give. */
  readonly clusterUid: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Gives up a first enrolment, and ends renewals. */
  readonly signal: AbortSignal;
}

/** What an agent proves itself by at its first enrolment. */
export type JoinSource =
  | { readonly file: string }
  | { readonly token: string }
  | {
      /** File with a projected ServiceAccount token, which Kubernetes keeps fresh. */
      readonly serviceAccountToken: string;
      /** SPKI hash of the fleet's root, base64url SHA-256: a ServiceAccount token says nothing of the fleet. */
      readonly rootSpki: string;
    };

const remedy = 'make one with: headgate cluster add NAME, and give it by --join FILE or HEADGATE_JOIN';

/** Who this agent is: keys made here, certificates from the hub, renewed while it lives. */
export class AgentIdentity implements AsyncDisposable {
  readonly #options: AgentIdentityOptions;
  readonly #files: IdentityFiles;
  readonly #listeners = new Set<(credentials: AgentCredentials) => void>();
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #current: AgentCredentials;
  readonly #renewing: Promise<void>;

  private constructor(options: AgentIdentityOptions, files: IdentityFiles, current: AgentCredentials) {
    this.#options = options;
    this.#files = files;
    this.#current = current;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
    this.#renewing = this.#renew();
  }

  /**
   * The identity that the data folder holds, or else a new one: enrols by the join token, and waits for a hub as
   * long as it takes.
   *
   * @throws HG2004 about the token, HG2005 when there is neither identity nor token or the hub refuses, HG2003
   * about the folder or the token's file.
   */
  static async open(options: AgentIdentityOptions): Promise<AgentIdentity> {
    const files = new IdentityFiles(options.folder);
    const held = await files.load();
    if (held === undefined) return new AgentIdentity(options, files, await enrol(options, files));
    if (!isOurs(options, held.identity)) {
      throw new HeadgateError('HG2005', `the data folder holds the identity of ${describe(held.identity)}`, {
        remedy: `start it with that name, or give ${describe(wanted(options, held.identity.fleet))} a folder of its own`,
      });
    }
    return new AgentIdentity(options, files, held);
  }

  /** What holds now; ask anew after `onChange`. */
  current(): AgentCredentials {
    return this.#current;
  }

  /** Calls back after each renewal. Returns an undo. */
  onChange(listener: (credentials: AgentCredentials) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#renewing;
  }

  /** Renews by the old key; where that is refused, a fresh ServiceAccount token proves the agent anew. */
  async #renewed(): Promise<AgentCredentials> {
    try {
      return await renewOnce(this.#options, this.#current, this.#signal);
    } catch (thrown) {
      const { join, role } = this.#options;
      if (HeadgateError.from(thrown).code !== 'HG2005' || join === undefined || !isAttested(join)) throw thrown;
      return await enrolOnce(this.#options, await proofOf(this.#options), await makeKeys(role));
    }
  }

  async #renew(): Promise<void> {
    const { clock, log } = this.#options;
    const signal = this.#signal;
    let wait = renewalDelay(this.#current.control.certificate, clock);
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        await clock.sleep(wait, signal);
        const renewed = await this.#renewed();
        await this.#files.save(renewed);
        this.#current = renewed;
        log.info('renewed the certificates');
        for (const listener of this.#listeners) listener(renewed);
        const { certificate } = renewed.control;
        wait = Math.max(renewalDelay(certificate, clock), renewalPace(certificate));
        attempt = -1;
      } catch (error) {
        if (signal.aborted) return;
        // Also when refused: the operator may restore what was removed, and traffic needs no renewal meanwhile.
        wait = fullJitter(clock, attempt);
        log.warn('cannot renew the certificates; trying again', { error });
      }
    }
  }
}

/** Enrols at the first hub that answers. */
async function enrol(options: AgentIdentityOptions, files: IdentityFiles): Promise<AgentCredentials> {
  const { clock, log, signal, join } = options;
  const attested = join !== undefined && isAttested(join);
  // A ServiceAccount token is read anew each time; who has nothing to show else makes no keys.
  const proof = attested ? undefined : await proofOf(options);
  const keys = await files.pendingKeys(options.role);
  for (let attempt = 0; ; attempt += 1) {
    try {
      const credentials = await enrolOnce(options, proof ?? (await proofOf(options)), keys);
      await files.save(credentials);
      log.info('enrolled', { cluster: options.cluster, node: options.node });
      return credentials;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = HeadgateError.from(thrown);
      // Refused: nothing was made of these keys that could be asked for again.
      if (error.code === 'HG2004' && !attested) await files.forgetPending();
      // Only what another try may mend is tried again: a ServiceAccount token is replaced by a fresh one, and the
      // cluster may yet be added.
      const refused = error.code === 'HG2004' || error.code === 'HG2005';
      if (error.code === 'HG2003' || (refused && !attested)) throw error;
      log.warn('cannot enrol yet; trying again', { error });
    }
    await clock.sleep(fullJitter(clock, attempt, 500, 10_000), signal);
  }
}

/** Asks each hub in turn; one that refuses has spoken for all. */
async function enrolOnce(options: AgentIdentityOptions, proof: Proof, keys: AgentKeys): Promise<AgentCredentials> {
  let failure: unknown;
  for (const hub of options.hubs) {
    options.signal.throwIfAborted();
    try {
      return await enrolAt(hub, options, proof, keys);
    } catch (thrown) {
      const { code } = HeadgateError.from(thrown);
      if (code === 'HG2004' || code === 'HG2005') throw thrown;
      failure = thrown;
    }
  }
  throw HeadgateError.from(failure);
}

async function enrolAt(
  hub: Address,
  options: AgentIdentityOptions,
  { token, rootSpki }: Proof,
  keys: AgentKeys,
): Promise<AgentCredentials> {
  const address = formatAddress(hub);
  const ca = await fetchPinnedRoot(address, rootSpki, options.signal);
  using connection = dialRpc({ address, tls: { ca }, expect: isServer(options) });
  const { credentials } = await connection.enrol({
    token,
    ...(await csrsFor(keys, () => Buffer.alloc(0))),
    clusterUid: options.clusterUid,
    node: options.node,
    cluster: options.cluster,
  });
  return accepted(options, joinCredentials(credentials, keys));
}

/** @param signature over the CSRs of the issuers, at renewal. */
async function csrsFor(keys: AgentKeys, signature: (csrs: readonly Buffer[]) => Buffer) {
  const [controlCsr, gatewayCsr] = [await makeCsr(keys.control), await makeCsr(keys.gateway)];
  if (keys.issuers === undefined) return { controlCsr, gatewayCsr, issuers: undefined };
  const [node, gateway] = [await makeCsr(keys.issuers.node), await makeCsr(keys.issuers.gateway)];
  const issuers = { nodeCsr: node, gatewayCsr: gateway, signature: signature([node, gateway]) };
  return { controlCsr, gatewayCsr, issuers };
}

/** New keys and certificates, by the old key, from the first hub that answers. */
async function renewOnce(options: AgentIdentityOptions, old: AgentCredentials, signal: AbortSignal) {
  const { ca, certificate, privateKey } = old.control;
  const server = isServer(options);
  const expect = (identity: Identity) => identity.fleet === old.identity.fleet && server(identity);
  let failure: unknown;
  for (const hub of options.hubs) {
    signal.throwIfAborted();
    try {
      // Without a client certificate: the old one may have expired, and the signature proves more.
      using connection = dialRpc({ address: formatAddress(hub), tls: { ca }, expect });
      return await renewOver(connection, options, certificate, privateKey);
    } catch (error) {
      failure = error;
    }
  }
  throw HeadgateError.from(failure);
}

async function renewOver(
  connection: RpcConnection,
  options: AgentIdentityOptions,
  oldChain: string,
  oldKey: string,
): Promise<AgentCredentials> {
  const keys = await makeKeys(options.role);
  const { nonce } = await connection.nonce();
  const signed = (parts: readonly Buffer[]) => sign('sha256', Buffer.concat([nonce, ...parts]), oldKey);
  const csrs = await csrsFor(keys, signed);
  const [old, ...above] = pemBlocks(oldChain).map(({ text }) => new X509Certificate(text));
  if (old === undefined) throw new HeadgateError('HG2003', 'the identity holds no certificate');
  // The chain ends with the root; between is the CA of a cluster agent, or nothing.
  const issuer = above.find((one) => one.subject !== one.issuer);
  const { credentials } = await connection.renew({
    oldCertificate: old.raw,
    oldIssuer: issuer?.raw ?? Buffer.alloc(0),
    ...csrs,
    nonce,
    signature: signed([csrs.controlCsr, csrs.gatewayCsr]),
  });
  return accepted(options, joinCredentials(credentials, keys));
}

/** Who may enrol us: a hub, or for a node agent apart the agent of its own cluster. */
function isServer({ role, cluster }: AgentIdentityOptions): (identity: Identity) => boolean {
  return (identity) =>
    role === 'node' ? identity.kind === 'cluster' && identity.cluster === cluster : identity.kind === 'hub';
}

function isAttested(join: JoinSource): join is Extract<JoinSource, { readonly serviceAccountToken: string }> {
  return 'serviceAccountToken' in join;
}

/** What enrols us, and what we know the fleet by. */
interface Proof {
  readonly token: string;
  readonly rootSpki: string;
}

/** Read when it is needed: Kubernetes replaces the token's file all the time. */
async function proofOf({ join, cluster, role }: AgentIdentityOptions): Promise<Proof> {
  if (join === undefined) {
    throw new HeadgateError('HG2005', 'the agent has no identity yet and was given no join token', { remedy });
  }
  if (isAttested(join)) {
    const token = (await readPrivateFile(join.serviceAccountToken))?.trim() ?? '';
    if (token === '') throw new HeadgateError('HG2004', 'the file of the ServiceAccount token is missing or empty');
    return { token, rootSpki: join.rootSpki };
  }
  const line = 'token' in join ? join.token : await readPrivateFile(join.file);
  if (line === undefined || line.trim() === '') {
    throw new HeadgateError('HG2004', 'the file of the join token is missing or empty', { remedy });
  }
  const token = parseToken(line);
  if (token.cluster !== cluster || token.role !== role) {
    throw new HeadgateError(
      'HG2004',
      `the join token is for the ${token.role} agent of cluster ${token.cluster}, this is the ${role} agent of ${cluster}`,
      { remedy: `make one with: headgate cluster add ${cluster} --role ${role}` },
    );
  }
  return { token: line.trim(), rootSpki: token.rootSpki };
}

function accepted(options: AgentIdentityOptions, credentials: AgentCredentials): AgentCredentials {
  if (isOurs(options, credentials.identity)) return credentials;
  throw new HeadgateError('HG2005', `the hub gave us the identity of ${describe(credentials.identity)}`);
}

function wanted({ role, cluster, node }: AgentIdentityOptions, fleet: string): AgentCredentials['identity'] {
  return role === 'node' ? { kind: 'node', fleet, cluster, node } : { kind: 'cluster', fleet, cluster };
}

function isOurs(options: AgentIdentityOptions, identity: AgentCredentials['identity']): boolean {
  return describe(wanted(options, identity.fleet)) === describe(identity);
}

function describe(identity: AgentCredentials['identity']): string {
  return identity.kind === 'node'
    ? `node ${identity.node} of cluster ${identity.cluster}`
    : `the agent of cluster ${identity.cluster}`;
}
