import { Follower } from '../../../agent/cluster/follower.fixture.ts';
import { kubernetesSource } from '../../../agent/cluster/kubernetes/kubernetes-source.ts';
import { systemClock } from '../../../lib/clock.ts';
import { openKubernetesClient } from '../../../lib/kubernetes/index.ts';
import { silentLog, type Log } from '../../../lib/log.ts';
import { Endpoints } from '../../../proto/gen/headgate/v1/configured.ts';
import type { KubeObject } from '../ground/kube-api.ts';

export interface FollowKubeOptions {
  readonly namespaces?: readonly string[];
  readonly log?: Log;
}

/** Follows the API server of a kubeconfig as a cluster agent does. */
export class KubeFollower implements AsyncDisposable {
  readonly follower: Follower;
  readonly #resources: AsyncDisposableStack;

  private constructor(follower: Follower, resources: AsyncDisposableStack) {
    this.follower = follower;
    this.#resources = resources;
  }

  static async start(
    kubeconfig: string,
    { namespaces = [], log = silentLog }: FollowKubeOptions = {},
  ): Promise<KubeFollower> {
    await using resources = new AsyncDisposableStack();
    const client = resources.use(await openKubernetesClient({ kubeconfig, clock: systemClock }));
    const follower = new Follower(kubernetesSource({ client, namespaces, clock: systemClock, log }));
    resources.defer(async () => await follower.stop());
    return new KubeFollower(follower, resources.move());
  }

  addresses(slice: string): string[] {
    const body = this.follower.inventory.get('endpoints', slice)?.body;
    return body === undefined ? [] : Endpoints.decode(body).endpoints.map(({ address }) => address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

export const ingressClass: KubeObject = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'IngressClass',
  metadata: { name: 'headgate' },
  spec: { controller: 'headgate.dev/ingress' },
};

export function tlsSecret(namespace: string, name: string, pair: { certificate: string; key: string }): KubeObject {
  const data = { 'tls.crt': base64(pair.certificate), 'tls.key': base64(pair.key) };
  return { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name }, type: 'kubernetes.io/tls', data };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
