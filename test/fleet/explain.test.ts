import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { ExplainItem } from '../../hub/api/types.ts';
import { VirtualClock } from '../../lib/virtual-clock.fixture.ts';
import { eventually, TestFleet, tier, trafficPolicy, wholeNamespace } from './fleet.fixture.ts';
import { farFrom } from './shares.ts';

const HOST = 'shop.example';
const WILDCARD = '*.wild.example';
/** Every Service has a pod of its own in each cluster, so the pod that answers tells the route. */
const APPS = [
  { namespace: 'shop', name: 'web', host: HOST, path: '/', firstPod: 1 },
  { namespace: 'shop', name: 'api', host: HOST, path: '/api', firstPod: 2 },
  { namespace: 'shop', name: 'login', host: HOST, path: '/login', pathType: 'Exact', firstPod: 3 },
  { namespace: 'wild', name: 'wild', host: WILDCARD.replace('*', '"*').concat('"'), path: '/', firstPod: 4 },
] as const;
const URLS = [
  `${HOST}/`,
  `${HOST}/api/v1//x`,
  `${HOST}/apiary`,
  `${HOST}/login`,
  `${HOST}/login/again`,
  'a.wild.example/api',
  'a.b.wild.example/',
  'nobody.example/',
];
const REQUESTS = 1_000;
const SEED = 21;

let fleet: TestFleet;
beforeAll(async () => {
  fleet = await TestFleet.start(['eu', 'us', 'ap'], 5);
  for (const app of APPS) fleet.writeAll(app, app.name === 'wild' ? { eu: 1, us: 2 } : { eu: 1, us: 1, ap: 1 });
});
afterAll(async () => await fleet?.[Symbol.asyncDispose]());

/** What came of one request: the answering cluster, or the status. */
interface Came {
  readonly entry: string;
  readonly url: string;
  readonly pod: string | undefined;
  readonly cluster: string;
}

async function sendRandomly(clock: VirtualClock): Promise<Came[]> {
  const entries = ['eu', 'us', 'ap'];
  const choose = (list: readonly string[]): string => list[Math.floor(clock.random() * list.length)] ?? '';
  const targets = Array.from({ length: REQUESTS }, () => ({ entry: choose(entries), url: choose(URLS) }));
  const came: Came[] = [];
  const worker = async (): Promise<void> => {
    for (let next = targets.pop(); next !== undefined; next = targets.pop()) {
      const { entry, url } = next;
      const slash = url.indexOf('/');
      const { pod, status } = await fleet.ask(entry, url.slice(0, slash), { path: url.slice(slash) });
      came.push({ entry, url, pod: pod?.pod, cluster: pod?.cluster ?? `status ${status}` });
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return came;
}

/** How traffic and explanation differ, in words; undefined where they agree. */
function difference(came: readonly Came[], explained: readonly ExplainItem[]): string | undefined {
  for (const item of explained) {
    const { url, entry, outcome, clusters } = item;
    const mine = came.filter((one) => one.url === url && one.entry === entry);
    const counts = new Map<string, number>();
    for (const { cluster } of mine) counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
    const asked =
      outcome === 'served'
        ? Object.fromEntries(clusters.map(({ cluster, share }) => [cluster, share]))
        : { [`status ${outcome}`]: 1 };
    const far = farFrom(counts, asked);
    if (far !== undefined) return `${url} at ${entry}: ${far}`;
    const services = new Map(clusters.map(({ cluster, backend }) => [cluster, backend.split('/')[1]]));
    for (const { pod, cluster } of mine) {
      const app = APPS.find(({ name }) => name === services.get(cluster));
      const number = Number(pod?.split('-')[1]);
      if (pod === undefined || app === undefined) continue;
      if (number !== app.firstPod && !(app.name === 'wild' && number === app.firstPod + 1))
        return `${url} at ${entry}: ${pod} answered, explain says ${app.name}`;
    }
  }
  return undefined;
}

/** Waits until traffic is as explained. @returns the last difference: none */
async function settled(): Promise<string | undefined> {
  const clock = new VirtualClock(SEED);
  let last: string | undefined;
  await eventually(
    async () => {
      const said = await Promise.all(URLS.map(async (url) => await fleet.explainAll(url)));
      last = difference(await sendRandomly(clock), said.flat());
      return last === undefined;
    },
    () => `seed ${SEED}: ${last}`,
  );
  return last;
}

describe(`explain names the route and the clusters that serve, in their shares, of ${REQUESTS} random requests`, () => {
  const web = APPS[0];
  const changes: readonly (readonly [string, () => Promise<void> | void])[] = [
    ['as it starts', () => fleet.expectShares('ap', HOST, { ap: 1 }, 20)],
    ['with endpoints away', () => fleet.writeAll(web, { eu: 0, us: 1, ap: 1 })],
    [
      'with weights for one path, and a wildcard everywhere',
      () =>
        fleet.apply(
          trafficPolicy(
            'shop',
            `tiers: [${tier({ eu: 7, us: 2, ap: 1 })}]`,
            `{ group: headgate.dev, kind: Route, name: ${HOST}/api }`,
          ) + trafficPolicy('wild', 'exposure: Everywhere', wholeNamespace('wild')),
        ),
    ],
    ['with a cluster cordoned', async () => void (await fleet.fleet.must(['cordon', 'us']))],
    [
      'with a route gone from everywhere and a rival that claims its host',
      async () => {
        await fleet.fleet.must(['uncordon', 'us']);
        for (const cluster of ['eu', 'us', 'ap']) fleet.remove(cluster, { namespace: 'shop', name: 'login' });
        fleet.write('ap', { namespace: 'rival', host: HOST, path: '/login', firstPod: 5 });
      },
    ],
  ];
  test.each(changes)('%s', async (_, change) => {
    await change();
    expect(await settled()).toBeUndefined();
  });
});
