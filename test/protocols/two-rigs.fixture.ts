import type { Listeners } from '../../agent/haproxy/data-plane.ts';
import { type TestCa, testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { backend, certificate, endpoints, host, peer, split } from '../../agent/haproxy/testing/resources.fixture.ts';
import { Rig } from '../../agent/haproxy/testing/rig.fixture.ts';
import { type Resource, resource } from '../../lib/sync/index.ts';
import { BackendSettings, Host } from '../../proto/gen/headgate/v1/configured.ts';

/** Host names served by the entry's own pod, and by the pod of another cluster over the gateway hop. */
export const ways = ['near.example', 'far.example'] as const;
export type Way = (typeof ways)[number];

export interface TwoRigsOptions {
  /** Where the pod listens; both clusters have the same. */
  readonly port: number;
  /** 127.0.0.1 where undefined. */
  readonly address?: string;
  /** Of the entry. */
  readonly listeners?: Partial<Listeners>;
  /** Of the other cluster. */
  readonly callee?: Partial<Listeners>;
  /** Of both clusters' routes. */
  readonly settings?: Partial<BackendSettings>;
}

/** Two clusters with a HAProxy each, over one pod: clients come to `eu`, and `far.example` is served by `us`. */
export class TwoRigs implements AsyncDisposable {
  readonly ca: TestCa;
  readonly eu: Rig;
  readonly us: Rig;

  private constructor(ca: TestCa, eu: Rig, us: Rig) {
    this.ca = ca;
    this.eu = eu;
    this.us = us;
  }

  static async start({ port, address = '127.0.0.1', listeners, callee, settings }: TwoRigsOptions): Promise<TwoRigs> {
    const ca = await testCa();
    const far = routed('far.example', 'us', settings);
    const pod = [backend('d/pod/80'), endpoints('d/pod', port, [address])];
    await using stack = new AsyncDisposableStack();
    const us = stack.use(await Rig.start('us', ca, { upserts: [far, ...pod, peer('eu', [])], removals: [] }, callee));
    const eu = await Rig.start(
      'eu',
      ca,
      {
        upserts: [
          routed('near.example', 'eu', settings),
          far,
          ...pod,
          peer('us', [us.fixed.listeners.gateway]),
          split('far.example', [{ path: '/', shares: [{ cluster: 'us', share: 100_000 }] }]),
          certificate('d/tls', [...ways], await ca.leaf('near.example', [...ways])),
        ],
        removals: [],
      },
      listeners,
    );
    stack.move();
    return new TwoRigs(ca, eu, us);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.eu[Symbol.asyncDispose]();
    await this.us[Symbol.asyncDispose]();
  }
}

function routed(name: Way, cluster: string, settings: Partial<BackendSettings> | undefined): Resource {
  const plain = host(name, [{ path: '/', at: { [cluster]: 'd/pod/80' } }]);
  if (settings === undefined) return plain;
  const body = Host.decode(plain.body);
  const routes = body.routes.map((route) => ({ ...route, backendSettings: BackendSettings.create(settings) }));
  return resource('host', name, Host.encode({ ...body, routes }).finish());
}
