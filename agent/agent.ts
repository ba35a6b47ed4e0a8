import { join } from 'node:path';

import type { Registry } from 'prom-client';
import type { Clock } from '../lib/clock.ts';
import { formatAddress } from '../lib/config/address.ts';
import { makeFolder } from '../lib/make-folder.ts';
import type { KubernetesClient } from '../lib/kubernetes/index.ts';
import type { Log } from '../lib/log.ts';
import { createRegistry, type ReadinessCheck, startOps } from '../lib/ops/index.ts';
import { withReconnect } from '../lib/rpc/index.ts';
import type { ClusterAgent } from './cluster/cluster-agent.ts';
import { serveConfigure, serveReport } from './cluster/node-server.ts';
import type { AgentContext } from './context.ts';
import { openDrain } from './drain.ts';
import type { DataPlane } from './haproxy/data-plane.ts';
import { haproxyFolders } from './haproxy/process/haproxy-folder.ts';
import { AgentIdentity } from './identity/agent-identity.ts';
import { directoryClusterUid } from './identity/cluster-uid.ts';
import { registerLinkMetrics } from './metrics.ts';
import type { NodeAgent } from './node/node-agent.ts';
import { startNode } from './node/start-node.ts';
import type { AgentOptions } from './options.ts';
import { holdPidFile } from './pid-file.ts';
import { preflight } from './preflight.ts';
import { runInProcess, runUplink } from './uplink.ts';

/** A node finds the cluster agent's next leader soon; the nodes of one cluster are no herd. */
const CLUSTER_AGENT_CAP_MS = 4_000;

export interface AgentSurroundings {
  readonly log: Log;
  readonly clock: Clock;
  /** Ends the agent, after the drain that was asked for; HAProxy goes on serving. */
  readonly signal: AbortSignal;
  /** Called once, when listeners serve (cluster role alone: when it accepts nodes). */
  readonly ready: (fields: Readonly<Record<string, unknown>>) => void;
}

/**
 * Runs an agent with the roles asked for until the signal aborts.
 *
 * @throws HeadgateError HG2002 address taken, HG2003 data folder, HG2004 and HG2005 enrolment, HG5001 HAProxy
 */
export async function runAgent(options: AgentOptions, around: AgentSurroundings): Promise<void> {
  const { clock } = around;
  const log = around.log.with({ cluster: options.cluster, node: options.node });
  const ended = new AbortController();
  const drain = openDrain(around.signal, { ms: options.drain * 1_000, clock, ended: ended.signal });
  drain.begun.addEventListener('abort', () => log.info('draining', { seconds: options.drain }), { once: true });
  const signal = AbortSignal.any([drain.over, ended.signal]);
  await using resources = new AsyncDisposableStack();
  resources.defer(() => ended.abort());
  await preflight(options);
  await makeFolder(options.data);

  const registry = createRegistry('agent');
  const checks: ReadinessCheck[] = [{ name: 'drain', check: () => (drain.begun.aborted ? 'draining' : undefined) }];
  // First, so that whoever looks whether the agent lives does not end one that waits for its hub or for HAProxy.
  const ops = resources.use(await openOps(options, registry, checks, log));
  const kubernetes = await openKubernetes(options, registry, resources, clock);
  const clusterUid =
    kubernetes === undefined
      ? await directoryClusterUid(options.data)
      : await (
          await import('./identity/kubernetes-cluster-uid.ts')
        ).kubernetesClusterUid({ folder: options.data, client: kubernetes, clock, log, signal });
  const role = options.roles.has('cluster') ? 'cluster' : 'node';
  const { data: folder, hubs, join: token, cluster, node } = options;
  const identity = resources.use(
    await AgentIdentity.open({ folder, hubs, join: token, cluster, node, role, clusterUid, clock, log, signal }),
  );
  const work: Promise<void>[] = [];
  const context: AgentContext = {
    options,
    identity,
    clusterUid,
    kubernetes,
    keyFile: options.keyFile ?? join(options.data, 'key'),
    clock,
    log,
    link: registerLinkMetrics(registry, cluster, () => clock.now()),
    registry,
    signal,
    draining: drain.begun,
    resources,
    keep: (one) => {
      work.push(one);
      // Until all of it is awaited nobody else looks.
      one.catch(() => ended.abort());
    },
    checks,
    fields: { cluster, node },
  };
  try {
    const nodeRole = await startRoles(context);
    ops.started(nodeRole?.dataPlane);
    drain.serves();
    around.ready({ ...context.fields, ops: ops.address });
    // None resolves before the signal; the first that rejects ends the agent.
    await Promise.all(work);
  } finally {
    // Before the resources go that it works with.
    ended.abort();
    await Promise.allSettled(work);
  }
}

async function openKubernetes(
  { source }: AgentOptions,
  registry: Registry,
  resources: AsyncDisposableStack,
  clock: Clock,
): Promise<KubernetesClient | undefined> {
  if (source?.kind !== 'kubernetes') return undefined;
  const { openKubernetesClient, registerKubernetesMetrics } = await import('../lib/kubernetes/index.ts');
  const metrics = registerKubernetesMetrics(registry);
  return resources.use(await openKubernetesClient({ kubeconfig: source.kubeconfig, clock, metrics }));
}

/** Serves the ops endpoints: not ready, with the reason, until the agent has started. */
async function openOps(options: AgentOptions, registry: Registry, checks: ReadinessCheck[], log: Log) {
  let starting: string | undefined = 'the agent is starting';
  let haproxy: DataPlane | undefined;
  checks.push({ name: 'start', check: () => starting });
  const server = await startOps({
    address: options.ops,
    registry,
    checks,
    more: async () => (await haproxy?.metrics()) ?? '',
    log,
  });
  return {
    address: server.address,
    started: (dataPlane: DataPlane | undefined): void => {
      starting = undefined;
      haproxy = dataPlane;
    },
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  };
}

async function startRoles(context: AgentContext) {
  const { options, resources, log } = context;
  const nodeRole = options.roles.has('node') ? await startNode(context) : undefined;
  // What only a cluster needs is not in the memory of every node.
  const clusterAgent = options.roles.has('cluster')
    ? await (await import('./cluster/start-cluster.ts')).startCluster(context)
    : undefined;
  if (nodeRole !== undefined) context.keep(linkNode(context, nodeRole.agent, clusterAgent));
  resources.use(await holdPidFile([options.data, ...(await haproxyFolders(options.data))], log));
  return nodeRole;
}

/** The node's streams: in memory where the cluster role runs here too, else over the wire. */
async function linkNode(context: AgentContext, node: NodeAgent, cluster: ClusterAgent | undefined): Promise<void> {
  const { options, identity, clock, log, link, signal } = context;
  const up = { reports: node.up, sink: node.sink(), clock, log };
  if (cluster === undefined) {
    await runUplink({
      ...up,
      addresses: options.hubs.map(formatAddress),
      tls: () => identity.current().control,
      expect: (peer) => peer.kind === 'cluster' && peer.cluster === options.cluster,
      onConnected: (connected) => link.connected(connected),
      capMs: CLUSTER_AGENT_CAP_MS,
      signal,
    });
    return;
  }
  await cluster.complete;
  const common = { clock, log, signal };
  const connect = async (): Promise<void> => {
    await runInProcess(
      up,
      async (report, configure) => {
        const streams = [
          serveReport(cluster, options.node, report, common),
          serveConfigure(cluster, configure, common),
        ];
        await Promise.all(streams);
      },
      signal,
    );
  };
  // It breaks where the ledger cannot be written, and comes back when it can.
  await withReconnect(['this process'], connect, { clock, log, signal, firstMs: 100, baseMs: 200, capMs: 5_000 });
}
