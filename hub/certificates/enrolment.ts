import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { identityOf, isClient, isSignedBy } from '../../lib/identity/certificate.ts';
import { isLabel, type Identity } from '../../lib/identity/identity.ts';
import { foreign, RenewalProofs, revoked } from '../../lib/identity/renewal-proof.ts';
import type { Moment } from '../../lib/identity/serial.ts';
import { isJoinToken } from '../../lib/identity/token.ts';
import type { Log } from '../../lib/log.ts';
import type {
  EnrolRequest,
  EnrolResponse,
  NonceResponse,
  RenewRequest,
  RenewResponse,
} from '../../proto/gen/headgate/v1/enrolment.ts';
import { keys } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import type { CsrRequest, HubAuthority } from './hub-authority.ts';
import type { Revocations } from './revocations.ts';
import type { ServiceAccountTokens } from './service-account-tokens.ts';
import type { Tokens } from './tokens.ts';

export interface EnrolmentOptions {
  readonly authority: HubAuthority;
  readonly tokens: Tokens;
  readonly serviceAccountTokens: ServiceAccountTokens;
  readonly revocations: Revocations;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/** Identities that agents enrol for. */
type Agent = Extract<Identity, { readonly cluster: string }>;

/** Gives agents their certificates. All refusals are HG2004 or HG2005 and tell no more than the caller knows. */
export class Enrolment {
  readonly #options: EnrolmentOptions;
  readonly #proofs: RenewalProofs;

  constructor(options: EnrolmentOptions) {
    this.#options = options;
    const { authority, clock } = options;
    this.#proofs = new RenewalProofs({
      clock,
      grace: authority.lifetimes.grace,
      // What a cluster's own CA issued is renewed by that cluster; what only serves says nothing of who calls.
      isIssued: (certificate) => isSignedBy(certificate, authority.control.certificate) && isClient(certificate),
    });
  }

  /** First certificates, for a join token or a ServiceAccount token. The identity comes from what the hub has of it. */
  async enrol(request: EnrolRequest): Promise<EnrolResponse> {
    const { authority, tokens, serviceAccountTokens, revocations, log } = this.#options;
    if (request.node !== '' && !isLabel(request.node)) {
      throw new HeadgateError('HG2005', 'the node name is no RFC 1123 label', { remedy: 'name it with --node' });
    }
    const csrs = csrsOf(request);
    const { cluster, role, at } = isJoinToken(request.token)
      ? await tokens.redeem(request.token, csrs, request.clusterUid)
      : await serviceAccountTokens.redeem(request.token, request.cluster, csrs, request.clusterUid);
    if (role === 'node' && (await revocations.isBarred(cluster, request.node))) {
      throw new HeadgateError('HG2005', `node ${request.node} is revoked`, {
        remedy: `let it back with: headgate cluster readmit ${cluster} --node ${request.node}`,
      });
    }
    const identity = agentIdentity(authority.fleetName, cluster, role === 'node' ? request.node : undefined);
    const credentials = await authority.issue(identity, request, request.node, at);
    log.info('enrolled an agent', { cluster, node: request.node, role });
    return { credentials };
  }

  /** @param connection names the caller's connection. */
  nonce(connection: string): NonceResponse {
    return { nonce: this.#proofs.nonce(connection) };
  }

  /** New certificates for the holder of an old one's key; the identity is the old one's. */
  async renew(request: RenewRequest, connection: string): Promise<RenewResponse> {
    const { authority, log } = this.#options;
    const certificate = this.#proofs.prove(request, connection);
    const identity = identityOf(certificate);
    if (identity === undefined || identity.kind === 'hub' || identity.fleet !== authority.fleetName) throw foreign();
    const at = await this.#stillMember(identity, certificate.serialNumber);
    const node = identity.kind === 'node' ? identity.node : '';
    const credentials = await authority.issue(identity, request, node, at);
    log.info('renewed an agent', { cluster: identity.cluster, node });
    return { credentials };
  }

  async #stillMember(identity: Agent, serial: string): Promise<Moment> {
    const { revocations, store } = this.#options;
    const { revoked: gone, at } = await revocations.check(identity, serial);
    if (gone || (await store.get(keys.cluster(identity.cluster))) === undefined) throw revoked();
    return at;
  }
}

/** Every CSR of a request, in a fixed order. */
function csrsOf({ controlCsr, gatewayCsr, issuers }: CsrRequest): Uint8Array[] {
  return [controlCsr, gatewayCsr, ...(issuers === undefined ? [] : [issuers.nodeCsr, issuers.gatewayCsr])];
}

function agentIdentity(fleet: string, cluster: string, node: string | undefined): Agent {
  if (node === undefined) return { kind: 'cluster', fleet, cluster };
  if (node === '') {
    throw new HeadgateError('HG2005', 'a node agent needs a node name', { remedy: 'name it with --node' });
  }
  return { kind: 'node', fleet, cluster, node };
}
