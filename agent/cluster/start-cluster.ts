import { join } from 'node:path';

import { formatAddress } from '../../lib/config/address.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { RpcConnection } from '../../lib/rpc/index.ts';
import { VERSION } from '../../lib/version.ts';
import type { AgentContext } from '../context.ts';
import type { NodeAttestor } from '../identity/node-enrolment.ts';
import { openSpeaker } from '../identity/speaker.ts';
import { tokenReviewAttestor } from '../identity/token-review.ts';
import { openLedger } from '../ledger/open-ledger.ts';
import { runUplink } from '../uplink.ts';
import { ClusterAgent } from './cluster-agent.ts';
import { directorySource } from './directory/directory-source.ts';
import { type FolderMemory, openFolderMemory } from './directory/folder-memory.ts';
import { kubernetesSource } from './kubernetes/kubernetes-source.ts';
import { serveNodes } from './serve-nodes.ts';
import type { Source } from './source.ts';

/** Starts the cluster role: source, link to the hub and, where asked, the server for node agents apart. */
export async function startCluster(context: AgentContext): Promise<ClusterAgent> {
  const { options, identity, keyFile, clusterUid, clock, log, link, signal, resources, keep } = context;
  const ledger = resources.use(await openLedger({ folder: join(options.data, 'cluster-ledger'), keyFile, log }));
  const agent = new ClusterAgent({
    cluster: options.cluster,
    clusterUid,
    version: VERSION,
    source: await openSource(context),
    ledger,
    gateway: () => identity.current().gateway,
    clock,
    log,
  });
  keep(agent.run(signal));
  context.checks.push({
    name: 'source',
    check: () => (agent.isListed ? undefined : 'the source has not been listed yet'),
  });
  let hub: RpcConnection | undefined;
  const speaker = await openSpeaker(options.data, log);
  const reportAndConfigure = async (): Promise<void> => {
    await agent.listed;
    await runUplink({
      addresses: options.hubs.map(formatAddress),
      tls: () => identity.current().control,
      reports: agent.up,
      sink: agent.hubSink(),
      expect: (peer) => peer.kind === 'hub',
      speaker,
      onConnected: (connected) => {
        link.connected(connected);
        agent.setHubConnected(connected);
      },
      onConnection: (connection) => {
        hub = connection;
      },
      clock,
      log,
      signal,
    });
  };
  keep(reportAndConfigure());
  if (options.listenNodes === undefined) return agent;

  const server = await serveNodes(context, {
    address: options.listenNodes,
    agent,
    ledger,
    hub: () => hub,
    attestor: attestorOf(context),
  });
  context.fields['nodes'] = server.address;
  return agent;
}

/** Nodes may prove themselves by the cluster's own tokens where there is an API server that knows them. */
function attestorOf({ kubernetes, options, signal }: AgentContext): NodeAttestor | undefined {
  if (kubernetes === undefined || options.nodeServiceAccount === undefined) return undefined;
  return tokenReviewAttestor(kubernetes, options.nodeServiceAccount, signal);
}

async function openSource(context: AgentContext): Promise<Source> {
  const { options, kubernetes, clock, log } = context;
  const { source, defaultCertificate } = options;
  if (source?.kind === 'directory') {
    const memory = await openMemory(context);
    const { folder } = source;
    return directorySource({ folder, defaultCertificate, clock, log, ...(memory === undefined ? {} : { memory }) });
  }
  if (source === undefined || kubernetes === undefined) {
    throw new HeadgateError('HG2001', 'the cluster role needs a source');
  }
  return kubernetesSource({ client: kubernetes, namespaces: source.namespaces, defaultCertificate, clock, log });
}

/** Without it, as on a disk that takes no writes, the source knows only what it reads itself. */
async function openMemory({ options, keyFile, log, resources }: AgentContext): Promise<FolderMemory | undefined> {
  try {
    return resources.use(await openFolderMemory({ file: join(options.data, 'manifests.db'), keyFile }));
  } catch (error) {
    log.warn('what broken files were before is not known', { error });
    return undefined;
  }
}
