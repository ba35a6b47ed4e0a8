import { HeadgateError } from '../../../lib/errors.ts';
import { isLabel } from '../../../lib/identity/identity.ts';
import { clusterSpec } from '../../../lib/policy/schemas.ts';
import type { Clock } from '../../../lib/clock.ts';
import { issuerPin, usualServiceAccount } from '../../certificates/issuer-pin.ts';
import { hubAudience, type ServiceAccountTokens } from '../../certificates/service-account-tokens.ts';
import type { Revocations } from '../../certificates/revocations.ts';
import { type Tokens, tokenLifetime } from '../../certificates/tokens.ts';
import { departureOf, forgetCluster } from '../../ingest/forget-cluster.ts';
import { keys } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import type { HubView } from '../../view.ts';
import type { Audit } from '../audit.ts';
import type { Caller } from '../caller.ts';
import { policyKey } from '../policy-key.ts';
import type {
  AddClusterRequest,
  AddClusterResponse,
  PinClusterRequest,
  PinClusterResponse,
  RemoveClusterResponse,
  RevisionResponse,
  RevokeRequest,
} from '../types.ts';
import { addLabels, requireMember } from './cordon.ts';
import type { PolicyWriter } from './policy-writer.ts';

/** Membership of clusters. */
export interface ClusterWrites {
  readonly view: HubView;
  readonly store: Store;
  readonly clock: Clock;
  readonly tokens: Tokens;
  readonly serviceAccountTokens: ServiceAccountTokens;
  /** SPKI hash of the control root. */
  readonly rootSpki: string;
  readonly revocations: Revocations;
  readonly audit: Audit;
  readonly writer: PolicyWriter;
  /** The cluster's connections are history. */
  readonly forget: (cluster: string) => void;
}

/** Makes a member if there is none of that name, and a join token. @throws HeadgateError HG1002 */
export async function addCluster(
  { view, store, clock, tokens, audit, writer }: ClusterWrites,
  caller: Caller,
  { name, role = 'cluster', labels = {} }: AddClusterRequest,
): Promise<AddClusterResponse> {
  requireName(name);
  if (Object.keys(labels).length > 0) {
    clusterSpec.parse({ labels });
    await addLabels(view, writer, caller, name, labels);
  }
  const expires = new Date(clock.wall() + tokenLifetime).toISOString();
  const what = `made a join token for cluster ${name}, role ${role}`;
  const token = await tokens.add(name, role, [audit.record(caller, what)]);
  const { revision } = await store.range(keys.cluster(name));
  audit.committed(caller, what, revision);
  return { name, role, token, expires, revision: revision.toString() };
}

/**
 * Pins the issuer and the keys that vouch for a cluster's agent; makes a member if there is none of that name.
 *
 * @throws HeadgateError HG1002, HG2008
 */
export async function pinCluster(
  { view, serviceAccountTokens, rootSpki, audit, writer }: ClusterWrites,
  caller: Caller,
  name: string,
  { issuer, jwks, serviceAccount = usualServiceAccount, labels = {} }: PinClusterRequest,
): Promise<PinClusterResponse> {
  requireName(name);
  const parsed = issuerPin.safeParse({ issuer, serviceAccount, keys: jwks.keys });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new HeadgateError('HG1002', `the issuer cannot be pinned: ${issue?.path.join('.')}: ${issue?.message}`, {
      remedy: 'give --issuer as https URL and --jwks as kubectl get --raw /openid/v1/jwks prints it',
    });
  }
  if (Object.keys(labels).length > 0) {
    clusterSpec.parse({ labels });
    await addLabels(view, writer, caller, name, labels);
  }
  const what = `pinned the issuer of cluster ${name}: ServiceAccount ${serviceAccount} of ${issuer}`;
  const revision = await serviceAccountTokens.pin(name, parsed.data, [audit.record(caller, what)]);
  audit.committed(caller, what, revision);
  return { name, issuer, serviceAccount, audience: hubAudience, hubSpki: rootSpki, revision: revision.toString() };
}

/**
 * Takes a node's certificates, or one certificate, from a cluster that stays a member; a node gets no new one until
 * it is readmitted. Live connections with them are cut.
 *
 * @throws HeadgateError HG2007, HG1002
 */
export async function revoke(
  { view, revocations, audit }: ClusterWrites,
  caller: Caller,
  cluster: string,
  { node, serial }: RevokeRequest,
): Promise<RevisionResponse> {
  requireMember(view, cluster);
  if ((node === undefined) === (serial === undefined)) {
    throw new HeadgateError('HG1002', 'a node or a serial is revoked', {
      remedy: `give one of --node and --serial; the whole cluster: headgate cluster remove ${cluster}`,
    });
  }
  if (node !== undefined) requireName(node);
  const subject = node === undefined ? (`serial/${serial ?? ''}` as const) : (`node/${cluster}/${node}` as const);
  const what = `revoked ${node === undefined ? `certificate ${serial}` : `node ${node}`} of cluster ${cluster}`;
  const more = node === undefined ? { cluster } : { barred: true };
  const revision = await revocations.revoke(subject, [audit.record(caller, what)], more);
  audit.committed(caller, what, revision);
  return { revision: revision.toString(), changed: true };
}

/** Lets a revoked node enrol anew; what it held stays revoked. @throws HeadgateError HG2007 */
export async function readmit(
  { view, revocations, audit }: ClusterWrites,
  caller: Caller,
  cluster: string,
  node: string,
): Promise<RevisionResponse> {
  requireMember(view, cluster);
  if (!(await revocations.isBarred(cluster, node))) {
    throw new HeadgateError('HG2007', `cluster ${cluster} has no revoked node ${JSON.stringify(node.slice(0, 63))}`);
  }
  const what = `readmitted node ${node} of cluster ${cluster}`;
  const revision = await revocations.revoke(`node/${cluster}/${node}`, [audit.record(caller, what)]);
  audit.committed(caller, what, revision);
  return { revision: revision.toString(), changed: true };
}

function requireName(name: string): void {
  if (isLabel(name)) return;
  throw new HeadgateError('HG1002', `${JSON.stringify(name.slice(0, 63))} is no name of a cluster or node`, {
    remedy: 'use at most 63 of a-z, 0-9 and -, with a letter or digit at both ends',
  });
}

/**
 * Ends a membership: identity and tokens first, so that nothing of it is heard any more, then its reports, what
 * a guard holds of it, and its Cluster object. Its hosts stay owned for the grace time.
 *
 * @throws HeadgateError HG2007
 */
export async function removeCluster(
  { view, store, tokens, revocations, audit, forget }: ClusterWrites,
  caller: Caller,
  name: string,
): Promise<RemoveClusterResponse> {
  requireMember(view, name);
  const { ingresses, routes, lastHosts } = departureOf(view.state(), name);
  const what = `removed cluster ${name}`;
  await tokens.removeCluster(name, revocations, [
    { kind: 'delete', key: policyKey('Cluster', '', name) },
    audit.record(caller, what),
  ]);
  await forgetCluster(store, name);
  forget(name);
  const { revision } = await store.range(keys.cluster(name));
  audit.committed(caller, what, revision);
  return { name, revision: revision.toString(), ingresses, routes, hosts: lastHosts };
}
