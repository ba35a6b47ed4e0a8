import { isAlive } from '../../agent/haproxy/process/stop.ts';
import { API_VERSION } from '../../lib/policy/schemas.ts';
import { HOSTS, NAMESPACE, type DemoFleet } from './fleet.ts';
import { sample, type Client, type Load } from './load.ts';
import { endpointSlice, ingress, service } from './manifests.ts';
import {
  atEveryEntry,
  crossed,
  explainedShares,
  farFrom,
  metricSum,
  ms,
  percents,
  reloadsOf,
  routePolicies,
  setWeights,
} from './measures.ts';
import { haproxyPids } from './process-fleet.ts';
import { until } from './processes.ts';
import type { PromiseName } from './promises.ts';
import type { Sabotage } from './sabotage.ts';

/** What one line of the play says. */
export interface Line {
  readonly promise: PromiseName;
  readonly ok: boolean;
  readonly figure: string;
}

export interface Play {
  readonly fleet: DemoFleet;
  readonly client: Client;
  readonly load: Load;
  readonly sabotage: Sabotage;
  /** Milliseconds from the start of the demo to the first 200. */
  readonly firstAnswerMs: number;
}

/** Deadlines of the play, with room for a busy machine; the figures say what it really was. */
const FIRST_ANSWER_MS = 5_000;
const LIVE_MS = 5_000;
/** A hub's return takes what the agents' back-off has come to: seconds after a short outage, at most a minute. */
const RECONNECT_MS = 60_000;
/** A killed cluster is seen after three missed probes, one a second. */
const MOVED_MS = 10_000;
const SAMPLE = 2_000;
/** The cluster that is killed. */
const FORMER = 'us';
/** Bodies that the hub sent down, since it began. */
const BYTES = 'headgate_configuration_bytes_total';

type Step = (play: Play) => Promise<{ readonly ok: boolean; readonly figure: string }>;

/** The play's steps in order; each holds one promise. Those after a kill rely on the ones before. */
export const steps: readonly (readonly [PromiseName, Step])[] = [
  ['first-answer', firstAnswer],
  ['local-first', localFirst],
  ['shares', shares],
  ['new-host', newHost],
  ['endpoints', endpoints],
  ['sticky', sticky],
  ['explain', explain],
  ['broken-manifest', brokenManifest],
  ['rival', rival],
  ['hub-killed', hubKilled],
  ['cluster-killed', clusterKilled],
  ['hub-back', hubBack],
  ['failed-requests', failedRequests],
  ['reloads', reloads],
];

async function firstAnswer({ firstAnswerMs }: Play) {
  return { ok: firstAnswerMs <= FIRST_ANSWER_MS, figure: `${(firstAnswerMs / 1_000).toFixed(2)} s` };
}

/** Without a policy every entry answers from its own cluster. */
async function localFirst({ fleet, client, sabotage }: Play) {
  await sabotage.when('local-first', async () => {
    await setWeights(fleet, HOSTS.cart, { eu: 1, us: 1, ap: 1 });
    await until(async () => crossed(await atEveryEntry(fleet, client, HOSTS.cart, 60)) > 0, LIVE_MS);
  });
  const seen = await atEveryEntry(fleet, client, HOSTS.cart, 200);
  const failed = [...seen.values()].reduce((sum, tally) => sum + tally.failed, 0);
  await sabotage.when('local-first', async () => {
    for (const { namespace, name } of await routePolicies(fleet, HOSTS.cart)) {
      const metadata = { namespace, name };
      await fleet.must(
        ['delete', '-f', '-'],
        JSON.stringify({ apiVersion: API_VERSION, kind: 'TrafficPolicy', metadata }),
      );
    }
    await until(async () => crossed(await atEveryEntry(fleet, client, HOSTS.cart, 60)) === 0, LIVE_MS);
  });
  return {
    ok: crossed(seen) === 0 && failed === 0,
    figure: `${crossed(seen)} of 600 requests crossed, ${failed} failed`,
  };
}

/** Shares asked are shares seen, before and after a change; the change's time to live. */
async function shares({ fleet, client, sabotage }: Play) {
  const entry = { address: fleet.cluster('eu').http, host: HOSTS.shop };
  const results: string[] = [];
  let ok = true;
  for (const asked of [
    { eu: 50, us: 30, ap: 20 },
    { eu: 10, us: 60, ap: 30 },
  ]) {
    const written = sabotage.is('shares') ? { ...asked, eu: asked.eu + 60 } : asked;
    const applied = setWeights(fleet, HOSTS.shop, written);
    // Live as a client sees it: the first hundred requests whose shares are nearer the new weights than chance.
    const started = performance.now();
    await applied;
    const live = await until(async () => farFrom(await sample(client, entry, 200), written) === undefined, LIVE_MS);
    const took = live === undefined ? undefined : performance.now() - started;
    const seen = await sample(client, entry, SAMPLE);
    ok &&= farFrom(seen, asked) === undefined && took !== undefined && seen.failed === 0;
    results.push(`${percents(seen, asked)} seen, ${Object.values(asked).join('/')} asked, within ${ms(took)}`);
  }
  return { ok, figure: results.join('; ') };
}

/** A host written into one cluster's folder is live in all three. */
async function newHost({ fleet, client, sabotage }: Play) {
  const { folder } = fleet.cluster('eu');
  const host = 'news.example';
  const pod = fleet.podsOf('eu')[0] ?? '';
  const slice = endpointSlice('news', 'news', pod, fleet.ports.get(pod) ?? 0);
  const text = `${ingress('news', 'news', host)}${service('news', 'news')}${slice}`;
  const started = performance.now();
  folder.write(
    'news.yaml',
    sabotage.is('new-host') ? text.replace('ingressClassName: headgate', 'ingressClassName: other') : text,
  );
  const times = await Promise.all(
    [...fleet.entries()].map(async ([name, address]) => {
      const live = await until(async () => (await client.get({ address, host })).ok, LIVE_MS);
      return `${name} ${live === undefined ? 'never' : `${(performance.now() - started).toFixed(0)} ms`}`;
    }),
  );
  return { ok: times.every((time) => !time.includes('never')), figure: times.join(', ') };
}

/** Endpoints taken away move the traffic, and it comes back. */
async function endpoints({ fleet, client, sabotage }: Play) {
  const target = { address: fleet.cluster('eu').http, host: HOSTS.cart };
  if (!sabotage.is('endpoints')) fleet.writeEndpoints('eu', 'cart', []);
  const away = await until(async () => {
    const outcome = await client.get(target);
    return outcome.ok && outcome.cluster !== 'eu';
  }, LIVE_MS);
  const spilled = await sample(client, target, 200);
  fleet.writeEndpoints('eu', 'cart');
  const back = await until(async () => {
    const outcome = await client.get(target);
    return outcome.ok && outcome.cluster === 'eu';
  }, LIVE_MS);
  const home = await sample(client, target, 200);
  const ok =
    away !== undefined &&
    back !== undefined &&
    spilled.failed + home.failed === 0 &&
    !spilled.byCluster.has('eu') &&
    home.byCluster.size === 1;
  return { ok, figure: `away in ${ms(away)}, back in ${ms(back)}, ${spilled.failed + home.failed} failed` };
}

/** Clients with a cookie stay where they were while weights change. */
async function sticky({ fleet, client, sabotage }: Play) {
  const target = { address: fleet.cluster('ap').http, host: HOSTS.sticky };
  const clients: { cookie: string; cluster: string }[] = [];
  for (let i = 0; i < 200; i++) {
    const first = await client.get(target);
    if (first.ok && first.cookie !== undefined) clients.push({ cookie: first.cookie, cluster: first.cluster });
  }
  await setWeights(fleet, HOSTS.sticky, { eu: 5, us: 5, ap: 90 });
  await until(async () => farFrom(await sample(client, target, 400), { eu: 5, us: 5, ap: 90 }) === undefined, LIVE_MS);
  let moved = 0;
  for (const { cookie, cluster } of clients) {
    const again = await client.get(sabotage.is('sticky') ? target : { ...target, cookie });
    if (!again.ok || again.cluster !== cluster) moved += 1;
  }
  return { ok: clients.length === 200 && moved === 0, figure: `${moved} of ${clients.length} moved` };
}

/** What `explain` says is where requests go. */
async function explain({ fleet, client, sabotage }: Play) {
  const said = explainedShares(await fleet.must(['explain', `http://${HOSTS.shop}/`, '--cluster', 'us', '-o', 'json']));
  const host = sabotage.is('explain') ? HOSTS.cart : HOSTS.shop;
  const seen = await sample(client, { address: fleet.cluster('us').http, host }, 1_000);
  const off = farFrom(seen, said);
  return {
    ok: off === undefined && seen.failed === 0,
    figure:
      off ??
      `1000 requests within the shares it names (${Object.entries(said)
        .map(([name, share]) => `${name} ${share} %`)
        .join(', ')})`,
  };
}

/** A manifest that does not parse is named, and changes nothing. */
async function brokenManifest({ fleet, client, sabotage }: Play) {
  const { folder, http } = fleet.cluster('us');
  const good = `${ingress(NAMESPACE, 'cart', HOSTS.cart)}${service(NAMESPACE, 'cart')}`;
  folder.write('cart.yaml', sabotage.is('broken-manifest') ? good : `${good}  ports: [unclosed`);
  const named = await until(
    async () => (await fleet.must(['get', 'events', '-A', '-o', 'json'])).includes('cart.yaml'),
    LIVE_MS,
    50,
  );
  const seen = await sample(client, { address: http, host: HOSTS.cart }, 200);
  folder.write('cart.yaml', good);
  const mended = await until(
    async () => !(await fleet.must(['get', 'events', '-A', '-o', 'json'])).includes('cart.yaml'),
    LIVE_MS,
    50,
  );
  const ok = named !== undefined && mended !== undefined && seen.failed === 0 && seen.byCluster.get('us') === 200;
  return {
    ok,
    figure: `named in ${ms(named)}, ${seen.failed} of 200 requests failed, gone ${ms(mended)} after mending`,
  };
}

/** A host that a namespace owns is refused to another, whatever the rival's age. */
async function rival({ fleet, client, sabotage }: Play) {
  await sabotage.when('rival', async () => {
    await fleet.must(['apply', '-f', '-'], hostClaim(HOSTS.desk, 'rival'));
  });
  const { folder, http } = fleet.cluster('ap');
  const pod = fleet.podsOf('ap')[0] ?? '';
  const slice = endpointSlice('rival', 'rival', pod, fleet.ports.get(pod) ?? 0);
  const older = ingress('rival', 'rival', HOSTS.desk).replace(
    'namespace: rival }',
    'namespace: rival, creationTimestamp: "2001-01-01T00:00:00Z" }',
  );
  folder.write('rival.yaml', `${older.replace('path: /', 'path: /rival')}${service('rival', 'rival')}${slice}`);
  const told = await until(
    async () => (await fleet.must(['describe', 'ingress', 'rival', '-n', 'rival'])).includes('Conflicted'),
    LIVE_MS,
    50,
  );
  const seen = await sample(client, { address: http, host: HOSTS.desk, path: '/rival' }, 200);
  folder.remove('rival.yaml');
  await sabotage.when('rival', async () => {
    await fleet.must(['delete', '-f', '-'], hostClaim(HOSTS.desk, 'rival'));
    await until(async () => (await sample(client, { address: http, host: HOSTS.desk }, 20)).failed === 0, LIVE_MS);
  });
  return {
    ok: told !== undefined && seen.failed === 0,
    figure: `Conflicted after ${ms(told)}, ${seen.failed} of 200 requests failed`,
  };
}

/** The hub dies; a cluster's own endpoints still change at once. */
async function hubKilled({ fleet, client, sabotage }: Play) {
  await fleet.hub.end('SIGKILL');
  const eu = fleet.cluster('eu');
  const [first = '', second = ''] = fleet.podsOf('eu');
  if (sabotage.is('hub-killed')) eu.agent.signal('SIGSTOP');
  fleet.writeEndpoints('eu', 'cart', [second]);
  const live = await until(async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, async () => await client.get({ address: eu.http, host: HOSTS.cart })),
    );
    return outcomes.every((outcome) => outcome.ok && outcome.pod === second);
  }, LIVE_MS);
  if (sabotage.is('hub-killed')) eu.agent.signal('SIGCONT');
  fleet.writeEndpoints('eu', 'cart', [first, second]);
  return { ok: live !== undefined, figure: `${first} taken away, live in ${ms(live)} without a hub` };
}

/** With the hub dead a whole cluster dies: the others move its share by themselves. */
async function clusterKilled({ fleet, client, load, sabotage }: Play) {
  const entry = { address: fleet.cluster('eu').http, host: HOSTS.shop };
  await sabotage.when('cluster-killed', async () => {
    for (const name of ['eu', 'ap']) fleet.writeEndpoints(name, 'shop', []);
    await until(async () => (await sample(client, entry, 50)).byCluster.get(FORMER) === 50, LIVE_MS);
  });
  load.pause(FORMER);
  const killedAt = load.now();
  fleet.killCluster(FORMER);
  // Each entry finds out by itself.
  const moved = await until(async () => {
    const seen = await Promise.all(
      ['eu', 'ap'].map(async (name) => await sample(client, { ...entry, address: fleet.cluster(name).http }, 100)),
    );
    return seen.every(({ failed, byCluster }) => failed === 0 && !byCluster.has(FORMER));
  }, MOVED_MS);
  load.killed = { from: killedAt, to: load.now() };
  const seen = await sample(client, entry, 500);
  await sabotage.when('cluster-killed', async () => {
    for (const name of ['eu', 'ap']) fleet.writeEndpoints(name, 'shop');
    await until(async () => (await sample(client, entry, 50)).failed === 0, LIVE_MS);
    load.killed = { from: killedAt, to: load.now() };
  });
  return {
    ok: moved !== undefined && seen.failed === 0,
    figure: `${FORMER} gone, its share moved in ${ms(moved)}; then ${seen.failed} of 500 failed`,
  };
}

/** The hub comes back: agents that miss nothing are sent nothing. */
async function hubBack({ fleet, sabotage }: Play) {
  await fleet.restartHub();
  const survivors = [...fleet.clusters.keys()].filter((name) => name !== FORMER);
  const back = await until(
    async () => {
      const listed = JSON.parse(await fleet.must(['get', 'clusters', '-o', 'json'])) as {
        items: { name: string; connected: boolean }[];
      };
      return survivors.every((name) => listed.items.some((item) => item.name === name && item.connected));
    },
    RECONNECT_MS,
    50,
  );
  if (sabotage.is('hub-back')) {
    await setWeights(fleet, HOSTS.cart, { eu: 1 });
    await until(async () => (await metricSum(fleet.hub.ready['ops'] as string, BYTES)) > 0, LIVE_MS, 50);
  }
  const bytes = await metricSum(fleet.hub.ready['ops'] as string, BYTES);
  // The lost cluster is back before the play ends, as it would be in life.
  await fleet.startAgent(FORMER);
  return {
    ok: back !== undefined && bytes === 0,
    figure: `${survivors.length} agents back in ${ms(back)}, ${bytes} configuration bytes sent`,
  };
}

/** Over the whole play nothing failed, but for what was in flight to the killed cluster. */
async function failedRequests({ load }: Play) {
  const { killed } = load;
  const excused = load.failures.filter(
    ({ at }) => killed !== undefined && at >= killed.from - 1_000 && at <= killed.to,
  );
  const count = load.failures.length - excused.length;
  const first = load.failures.find((failure) => !excused.includes(failure));
  const why =
    first === undefined
      ? ''
      : `; first at ${first.at.toFixed(0)} ms, ${first.entry} ${first.host}: ${first.status ?? ''} ${first.error}`;
  return {
    ok: count === 0,
    figure: `${count} of ${load.total} failed (${excused.length} more in flight to the killed cluster)${why}`,
  };
}

async function reloads({ fleet, sabotage }: Play) {
  await sabotage.when('reloads', async () => {
    const [master = 0] = haproxyPids(fleet.cluster('eu').data);
    const before = haproxyPids(fleet.cluster('eu').data).join();
    process.kill(master, 'SIGUSR2');
    await until(async () => haproxyPids(fleet.cluster('eu').data).join() !== before, LIVE_MS, 20);
  });
  const counts = await Promise.all([...fleet.clusters.values()].map(async ({ data }) => await reloadsOf(data)));
  const sum = counts.reduce((a, b) => a + b, 0);
  return { ok: sum === 0, figure: `${sum}` };
}

/** After the end nothing is left running. Not one of `steps`: it is judged when the fleet has stopped. */
export function leftBehind(pids: readonly number[]): Line {
  const left = pids.filter(isAlive).length;
  return { promise: 'left-behind', ok: left === 0, figure: `${left} of ${pids.length} processes` };
}

function hostClaim(host: string, namespace: string): string {
  return `apiVersion: headgate.dev/v1alpha1
kind: HostClaim
metadata: { name: demo }
spec: { hosts: [${host}], namespaces: [${namespace}] }
`;
}
