import { type TestBackend, testBackend } from '../../../agent/haproxy/testing/rig.fixture.ts';
import {
  backend,
  certificate,
  endpoints,
  host,
  peer,
  split,
} from '../../../agent/haproxy/testing/resources.fixture.ts';
import type { Resource } from '../../../lib/sync/index.ts';
import { TwoPlanes } from '../../safety/two-planes.ts';
import { Connection, presented } from '../fleet/poller.ts';

/** Hosts that are changed. */
export const SHOP = 'shop.bench.example';
const PER_SERVICE = 10;
const SPARES = 128;

/** Two data planes without agents: one with so many hosts, and a small one to cross to. */
export class ChangedPlane implements AsyncDisposable {
  readonly two: TwoPlanes;
  /** Two of the entry's own, one behind the other cluster. */
  readonly pods: readonly [TestBackend, TestBackend, TestBackend];
  readonly #connection: Connection;
  readonly #stack: AsyncDisposableStack;

  private constructor(two: TwoPlanes, pods: ChangedPlane['pods'], stack: AsyncDisposableStack) {
    this.two = two;
    this.pods = pods;
    this.#connection = stack.use(new Connection(two.plane('eu').status().http));
    this.#stack = stack;
  }

  static async open(hosts: number): Promise<ChangedPlane> {
    await using stack = new AsyncDisposableStack();
    const pods = [
      stack.use(await testBackend('eu-1')),
      stack.use(await testBackend('eu-2')),
      stack.use(await testBackend('us-1')),
    ] as const;
    const two = stack.use(await TwoPlanes.open(SPARES));
    const shop = host(SHOP, [{ path: '/', at: { eu: 'd/shop/80', us: 'd/shop/80' } }]);
    await two.apply('us', [
      shop,
      backend('d/shop/80'),
      endpoints('d/shop', pods[2].port, ['127.0.0.1']),
      peer('eu', []),
    ]);
    const services = Math.max(1, Math.ceil(hosts / PER_SERVICE));
    await two.apply('eu', [
      ...Array.from({ length: services }, (_, i) => [
        backend(`d/s${i}/80`),
        endpoints(`d/s${i}`, pods[0].port, ['127.0.0.1']),
      ]).flat(),
      ...Array.from({ length: hosts }, (_, i) => simpleHost(`h${i}.bench.example`, `d/s${i % services}/80`)),
      backend('d/shop/80'),
      endpoints('d/shop', pods[0].port, ['127.0.0.1']),
      shop,
      share(100_000),
      peer('us', [`127.0.0.1:${two.port('us', 'gateway')}`]),
    ]);
    const plane = new ChangedPlane(two, pods, stack.move());
    // The pool may have to be filled up once more.
    for (let before = -1; before !== plane.reloads;) {
      before = plane.reloads;
      await new Promise((resolve) => setTimeout(resolve, 3_000));
    }
    return plane;
  }

  /** Reloads that the entry's data plane has made. */
  get reloads(): number {
    return [...this.two.plane('eu').status().reloads.values()].reduce((a, b) => a + b, 0);
  }

  async status(name: string, path = '/'): Promise<number> {
    return (await this.#connection.get(name, path)).status;
  }

  /** As it came, perhaps in chunks. */
  async body(name: string): Promise<string> {
    return (await this.#connection.get(name, '/')).body;
  }

  /** SHA-256 of the certificate that a client gets. */
  async fingerprint(name: string): Promise<string> {
    return await presented(this.two.plane('eu').status().https, name);
  }

  async leafFor(name: string): Promise<{ readonly certificate: string; readonly key: string }> {
    return await this.two.ca.leaf(name);
  }

  async apply(...upserts: Resource[]): Promise<void> {
    await this.two.apply('eu', upserts);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

export function simpleHost(name: string, at: string, path?: string): Resource {
  return host(name, [
    { path: '/', exact: path !== undefined, at: { eu: at } },
    ...(path === undefined ? [] : [{ path, at: { eu: at } }]),
  ]);
}

/** @param eu its share of SHOP, of 100,000; the other cluster has the rest. */
export function share(eu: number): Resource {
  const shares = [
    { cluster: 'eu', share: eu },
    { cluster: 'us', share: 100_000 - eu },
  ];
  return split(SHOP, [{ path: '/', shares: shares.filter((one) => one.share > 0), fallbacks: ['eu', 'us'] }]);
}

export function tls(name: string, leaf: { readonly certificate: string; readonly key: string }): Resource {
  return certificate(`d/${name}`, [name], leaf);
}
