import { join } from 'node:path';
import { HeadgateError } from '../../lib/errors.ts';
import { createPrivateFile, readPrivateFile } from '../../lib/identity/private-file.ts';
import { resources, type KubernetesClient } from '../../lib/kubernetes/index.ts';
import { fullJitter, type Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';

/** Milliseconds that an agent which knows the UID waits for the API server to confirm it. */
const CONFIRM_MS = 3_000;

export interface ClusterUidOptions {
  /** The agent's data folder. */
  readonly folder: string;
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * A Kubernetes cluster's UID is that of its namespace kube-system. It is kept, so that an agent starts while its API
 * server is down; one that has never seen the API server waits for it.
 * @throws HeadgateError HG2003 where the data folder is another cluster's, HG2006 where the namespace may not be read
 */
export async function kubernetesClusterUid({ folder, client, clock, log, signal }: ClusterUidOptions): Promise<string> {
  const file = join(folder, 'identity', 'cluster-uid');
  const known = (await readPrivateFile(file))?.trim();
  if (known === undefined) {
    const uid = await askUntilTold(client, clock, log, signal);
    await createPrivateFile(file, `${uid}\n`);
    return uid;
  }
  const timeout = new AbortController();
  const late = clock.sleep(CONFIRM_MS, timeout.signal).then(
    () => undefined,
    () => undefined,
  );
  const asked = ask(client, AbortSignal.any([signal, timeout.signal])).catch((error: unknown) => {
    if (!timeout.signal.aborted) log.warn('the API server does not confirm the UID of this cluster', { error });
    return undefined;
  });
  const told = await Promise.race([asked, late]);
  timeout.abort();
  if (told !== undefined && told !== known) {
    throw new HeadgateError('HG2003', `'${folder}' is the data of the cluster with UID ${known}, not of this one`, {
      remedy: 'give a data folder of its own, or name the right API server',
    });
  }
  return known;
}

async function askUntilTold(client: KubernetesClient, clock: Clock, log: Log, signal: AbortSignal): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await ask(client, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = HeadgateError.from(thrown);
      // Only somebody's hand mends these.
      if (error.code === 'HG2006' || error.code === 'HG2005') throw error;
      log.warn('the UID of this cluster is not known yet', { error });
      await clock.sleep(fullJitter(clock, attempt, 500, 10_000), signal);
    }
  }
}

async function ask(client: KubernetesClient, signal: AbortSignal): Promise<string> {
  const { metadata } = await client.get(resources.namespaces, { namespace: '', name: 'kube-system' }, signal);
  if (metadata.uid === undefined) throw new HeadgateError('HG3006', 'the namespace kube-system has no UID');
  return metadata.uid;
}
