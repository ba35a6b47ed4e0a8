import { join } from 'node:path';

import { formatAddress } from '../../lib/config/address.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { resources as kinds } from '../../lib/kubernetes/index.ts';
import { VERSION } from '../../lib/version.ts';
import type { AgentContext } from '../context.ts';
import { openSpeaker } from '../identity/speaker.ts';
import { openLedger } from '../ledger/open-ledger.ts';
import { ClusterAgent } from './cluster-agent.ts';
import { directorySource } from './directory/directory-source.ts';
import { type FolderMemory, openFolderMemory } from './directory/folder-memory.ts';
import { kubernetesSource } from './kubernetes/kubernetes-source.ts';
import { SeenObjects } from './kubernetes/status/seen-objects.ts';
import { policyResources } from './kubernetes/watched-kinds.ts';
import { leadCluster } from './lead-cluster.ts';
import type { Source } from './source.ts';
import { speakForCluster } from './speak-for-cluster.ts';

/** Starts the cluster role: source, link to the hub and, where asked, the server for node agents apart. */
export async function startCluster(context: AgentContext): Promise<ClusterAgent> {
  const { options, identity, kubernetes, keyFile, clusterUid, clock, log, signal, resources, keep } = context;
  const ledger = resources.use(await openLedger({ folder: join(options.data, 'cluster-ledger'), keyFile, log }));
  const seen = new SeenObjects([kinds.ingresses, ...policyResources].map(({ kind }) => kind));
  const agent = new ClusterAgent({
    cluster: options.cluster,
    clusterUid,
    version: VERSION,
    source: await openSource(context, seen),
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
  const { lease, listenNodes } = options;
  if (lease !== undefined && kubernetes !== undefined) {
    keep(leadCluster(context, { client: kubernetes, lease, agent, ledger, seen }));
    if (listenNodes !== undefined) context.fields['nodes'] = formatAddress(listenNodes);
    return agent;
  }
  const speaker = await openSpeaker(options.data, log);
  const nodes = await speakForCluster(context, { agent, ledger, seen, speaker, isHeld: () => true });
  if (nodes !== undefined) context.fields['nodes'] = nodes;
  return agent;
}

async function openSource(context: AgentContext, seen: SeenObjects): Promise<Source> {
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
  return kubernetesSource({ client: kubernetes, namespaces: source.namespaces, defaultCertificate, seen, clock, log });
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
