import { HeadgateError } from '../../../lib/errors.ts';
import { isLabel } from '../../../lib/identity/identity.ts';
import { clusterSpec } from '../../../lib/policy/schemas.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Revocations } from '../../certificates/revocations.ts';
import { type Tokens, tokenLifetime } from '../../certificates/tokens.ts';
import { departureOf, forgetCluster } from '../../ingest/forget-cluster.ts';
import { keys } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import type { HubView } from '../../view.ts';
import type { Audit } from '../audit.ts';
import type { Caller } from '../caller.ts';
import { policyKey } from '../policy-key.ts';
import type { AddClusterRequest, AddClusterResponse, RemoveClusterResponse } from '../types.ts';
import { addLabels, requireMember } from './cordon.ts';
import type { PolicyWriter } from './policy-writer.ts';

/** Membership of clusters. */
export interface ClusterWrites {
  readonly view: HubView;
  readonly store: Store;
  readonly clock: Clock;
  readonly tokens: Tokens;
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
  if (!isLabel(name)) {
    throw new HeadgateError('HG1002', `${JSON.stringify(name.slice(0, 63))} is no cluster name`, {
      remedy: 'use at most 63 of a-z, 0-9 and -, with a letter or digit at both ends',
    });
  }
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
