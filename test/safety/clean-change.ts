import { backend, certificate, endpoints, host, peer, split } from '../../agent/haproxy/testing/resources.fixture.ts';
import { systemClock } from '../../lib/clock.ts';
import type { Resource } from '../../lib/sync/index.ts';
import { download, EchoStream, upstreamPod } from './long-streams.ts';
import { type ClientResult, SteadyClient } from './steady-client.ts';
import { TwoPlanes } from './two-planes.ts';

export interface CleanChangeOutcome extends ClientResult {
  /** How often what was changed. */
  readonly changes: Readonly<Record<string, number>>;
  /** Long-lived streams that did not come to their good end. */
  readonly broken: readonly string[];
}

/** Until then every fourth birth stays. More of them would cost more reloads than an old worker may live through. */
const MOST_STAYS = 160;

/** Served by the entry and the other cluster in shares; by the entry; by the other cluster. */
const HOSTS = ['shop.example', 'near.example', 'far.example'] as const;

/**
 * Changes everything that changes often, over and over, in both clusters, while a client asks and long streams are
 * open, with forced reloads between.
 */
export async function cleanChange(ms: number, rate: number): Promise<CleanChangeOutcome> {
  const ended = new AbortController();
  await using stack = new AsyncDisposableStack();
  const pods = [
    stack.use(await upstreamPod(ended.signal)),
    stack.use(await upstreamPod(ended.signal)),
    stack.use(await upstreamPod(ended.signal)),
  ];
  const ports = pods.map(({ port }) => port);
  const two = stack.use(await TwoPlanes.open());
  const { ca } = two;
  const leaves = [await ca.leaf('shop.example', HOSTS), await ca.leaf('shop.example', HOSTS)];
  const gateways = [await ca.leaf('eu.gateway.headgate'), await ca.leaf('eu.gateway.headgate')];

  /** Which pods are ready and which drain; every pod has a port, and so a slice, of its own. */
  const slices = (service: string, ready: readonly number[], draining: readonly number[]): Resource[] =>
    ports.map((port, i) =>
      endpoints(
        service,
        port,
        ready.includes(i) ? ['127.0.0.1'] : [],
        draining.includes(i) ? ['127.0.0.1'] : [],
        `pod${i}`,
      ),
    );
  const common = [shop(0), host('far.example', [{ path: '/', at: { us: 'd/web/80' } }]), backend('d/web/80')];
  await two.apply('us', [...common, ...slices('d/web', [0, 1, 2], []), peer('eu', [])]);
  await two.apply('eu', [
    ...common,
    ...slices('d/web', [0, 1, 2], []),
    peer('us', [`127.0.0.1:${two.port('us', 'gateway')}`]),
    host('near.example', [{ path: '/', at: { eu: 'd/web/80' } }]),
    share(50_000),
    split('far.example', [{ path: '/', shares: [{ cluster: 'us', share: 100_000 }] }]),
    certificate('d/tls', HOSTS, leaves[0] ?? missing()),
  ]);

  const http = two.port('eu', 'http');
  const client = stack.use(await SteadyClient.start({ http, https: two.port('eu', 'https'), hosts: HOSTS, rate }));
  const echoes = await Promise.all(HOSTS.map(async (name) => ({ name, stream: await EchoStream.open(http, name) })));
  const downloads = HOSTS.map((name) => ({ name, body: download(http, name) }));

  const gatewayOf = (i: number) => {
    const leaf = gateways[i % 2] ?? missing();
    return { certificate: leaf.certificate, privateKey: leaf.key, ca: ca.certificate };
  };
  const kinds: Readonly<Record<string, (i: number) => Promise<void>>> = {
    weights: (i) => two.apply('eu', [share((i * 9_973) % 100_001)]),
    paths: (i) => two.apply('eu', [shop(i % 7)]),
    endpoints: (i) => two.apply(i % 2 === 0 ? 'eu' : 'us', slices('d/web', [i % 3, (i + 1) % 3], [(i + 2) % 3])),
    'endpoints gone': (i) => two.apply(i % 2 === 0 ? 'us' : 'eu', slices('d/web', [i % 3], [])),
    certificates: (i) => two.apply('eu', [certificate('d/tls', HOSTS, leaves[i % 2] ?? missing())]),
    gateways: (i) => two.plane('eu').setGateway(gatewayOf(i)),
    births: (i) =>
      two.apply('eu', [
        backend(`d/new${i}/80`),
        endpoints(`d/new${i}`, ports[0] ?? 0, ['127.0.0.1']),
        host(`new${i}.example`, [{ path: '/', at: { eu: `d/new${i}/80` } }]),
      ]),
    deaths: (i) =>
      two.apply(
        'eu',
        [],
        i % 4 === 0 && i < MOST_STAYS
          ? []
          : [
              { type: 'host', name: `new${i}.example` },
              { type: 'backend', name: `d/new${i}/80` },
              { type: 'endpoints', name: `d/new${i}-a` },
            ],
      ),
  };
  const changes: Record<string, number> = { 'forced reloads': 0 };
  const until = performance.now() + ms;
  const reloads = [0.25, 0.5, 0.75].map((part) => until - ms * part);
  for (let i = 0; performance.now() < until; i++) {
    for (const [kind, change] of Object.entries(kinds)) {
      await change(i);
      changes[kind] = (changes[kind] ?? 0) + 1;
      await systemClock.sleep(5);
    }
    if (performance.now() > (reloads.at(-1) ?? Infinity)) {
      reloads.pop();
      await two.forceReload(reloads.length % 2 === 0 ? 'eu' : 'us');
      changes['forced reloads'] = (changes['forced reloads'] ?? 0) + 1;
    }
  }
  const result = await client.stop();
  const broken: string[] = [];
  for (const { name, stream } of echoes)
    if (!(await stream.finish())) broken.push(`${name}: ${stream.back} of ${stream.sent} echoes`);
  ended.abort();
  for (const { name, body } of downloads) {
    const text = await body.catch(String);
    if (!/^x+end$/.test(text)) broken.push(`${name}: download ended in ${text.slice(-80)}`);
  }
  changes['reloads of our own'] = [
    ...two.plane('eu').status().reloads.values(),
    ...two.plane('us').status().reloads.values(),
  ].reduce((a, b) => a + b, 0);
  return { ...result, changes, broken };
}

/** @param more further paths */
function shop(more: number): Resource {
  return host('shop.example', [
    { path: '/', at: { eu: 'd/web/80', us: 'd/web/80' } },
    ...Array.from({ length: more }, (_, i) => ({ path: `/more${i}`, at: { eu: 'd/web/80' } })),
  ]);
}

/** @param eu its share, of 100,000 */
function share(eu: number): Resource {
  return split('shop.example', [
    {
      path: '/',
      shares: [
        { cluster: 'eu', share: eu },
        { cluster: 'us', share: 100_000 - eu },
      ],
      fallbacks: ['eu', 'us'],
    },
  ]);
}

function missing(): never {
  throw new Error('no such leaf');
}
