import { readFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import type { KubeCluster } from '../ground/kube-cluster.ts';

interface Kubeconfig {
  readonly clusters: readonly { readonly cluster: unknown }[];
  readonly users: readonly { readonly user: unknown }[];
}

/** The text of one kubeconfig in which every cluster is a context of its own name; the first is current. */
export async function contextsOf(clusters: readonly KubeCluster[]): Promise<string> {
  const configs = clusters.map(async ({ name, kubeconfig }) => {
    const { clusters, users } = parse(await readFile(kubeconfig, 'utf8')) as Kubeconfig;
    return { name, cluster: clusters[0]?.cluster, user: users[0]?.user };
  });
  const all = await Promise.all(configs);
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: all.map(({ name, cluster }) => ({ name, cluster })),
    users: all.map(({ name, user }) => ({ name, user })),
    contexts: all.map(({ name }) => ({ name, context: { cluster: name, user: name } })),
    'current-context': all[0]?.name,
  });
}
