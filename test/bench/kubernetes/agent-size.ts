import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectHub, pathOf } from '../../../cli/client.ts';
import { ProcessFleet } from '../../../cli/demo/process-fleet.ts';
import { Program } from '../../../cli/demo/processes.ts';
import type { ClusterItem, ListResponse } from '../../../hub/api/types.ts';
import { buildProgram } from '../../build/built-program.ts';
import { CRDS } from '../../kube/fleet/kube-fleet.ts';
import type { KubeObject } from '../../kube/ground/kube-api.ts';
import type { KubeCluster } from '../../kube/ground/kube-cluster.ts';
import { KubeGround } from '../../kube/ground/kube-ground.ts';
import { endpointSlice, ingress, service } from '../../kube/ground/objects.ts';
import { ingressClass } from '../../kube/source/followed.fixture.ts';
import type { Bench, BenchOptions, BenchReport } from '../bench.ts';
import { metricOf } from '../fleet/metrics.ts';
import { cpuSeconds, resident } from '../machine.ts';
import { round } from '../numbers.ts';

const CLUSTER = 'eu';
const NAMESPACE = 'default';
/** Of each Service. */
const ENDPOINTS = 10;
/** Of endpoints, for the CPU of each. */
const CHANGES = 100;
const REPORTED_WITHIN = 120_000;
const ANY = '127.0.0.1:0';

interface Seen {
  readonly ingresses: number;
  /** Seconds from the start of the process until the hub has all Ingresses. */
  readonly reported: number;
  /** Seconds of CPU until then. */
  readonly startCpu: number;
  /** MiB. */
  readonly rss: number;
  readonly anonymous: number;
  /** CPU ms a second while nothing changes. */
  readonly idleCpu: number;
  /** CPU ms for each change of endpoints. */
  readonly changeCpu: number;
  /** A minute, while nothing changes. */
  readonly requests: number;
  readonly watches: number;
}

async function run({ smoke, note }: BenchOptions): Promise<BenchReport> {
  const sizes = smoke ? [20] : [1_000, 5_000];
  const idleMs = smoke ? 3_000 : 60_000;
  await using folder = await mkdtempDisposable(join(tmpdir(), 'hb-'));
  note('build');
  const shipped = await buildProgram(join(folder.path, 'image'));
  await using ground = await KubeGround.start({ clusters: [CLUSTER] });
  const eu = ground.cluster(CLUSTER);
  await eu.kubectl(['apply', '-f', CRDS]);
  await eu.api.apply(ingressClass);
  const seen: Seen[] = [];
  let there = 0;
  for (const size of sizes) {
    note(`${size} Ingresses and Services with ${ENDPOINTS} endpoints each`);
    await eu.api.createAll(objects(there, size));
    there = size;
    note('cluster agent');
    const data = join(folder.path, String(size));
    await mkdir(data);
    seen.push(await measure(eu, data, shipped, size, idleMs));
  }
  return {
    tables: [
      {
        title: `A cluster agent apart, as shipped, ${ENDPOINTS} endpoints to a Service`,
        columns: [
          'Ingresses',
          'start to first report, s',
          'CPU s',
          'RSS MiB',
          'anonymous',
          'idle CPU ms/s',
          'CPU ms per endpoint change',
          'requests/min idle',
          'watches begun/min',
        ],
        rows: seen.map((one) => [
          one.ingresses,
          round(one.reported, 2),
          round(one.startCpu, 2),
          Math.round(one.rss),
          Math.round(one.anonymous),
          round(one.idleCpu, 1),
          round(one.changeCpu, 1),
          round(one.requests, 1),
          round(one.watches, 1),
        ]),
      },
    ],
    figures: smoke ? [] : seen.flatMap(figuresOf),
    faults: [],
  };
}

function figuresOf({ ingresses, reported, rss, requests }: Seen) {
  const at = `${ingresses} Ingresses`;
  return [
    { what: `start to first report, ${at}`, limit: 10, seen: round(reported, 1), unit: 's' },
    { what: `memory, ${at}`, limit: ingresses <= 1_000 ? 180 : 300, seen: Math.round(rss), unit: 'MiB' },
    { what: `requests idle, beyond watches, ${at}`, limit: 10, seen: round(requests, 1), unit: 'a minute' },
  ];
}

async function measure(
  eu: KubeCluster,
  data: string,
  command: string,
  ingresses: number,
  idleMs: number,
): Promise<Seen> {
  await using fleet = await ProcessFleet.start(data);
  const hub = await connectHub({ config: fleet.adminConfig });
  const join_ = join(data, 'join');
  await writeFile(join_, await fleet.must(['cluster', 'add', CLUSTER, '-o', 'token']), { mode: 0o600 });
  const flags = ['--cluster', CLUSTER, '--roles', 'cluster', '--hub', String(fleet.hub.ready['grpc'])];
  flags.push('--source', 'kubernetes', '--kubeconfig', eu.kubeconfig, '--listen-nodes', ANY, '--ops', ANY);
  flags.push('--join', join_, '--data', join(data, 'agent'));
  const started = performance.now();
  const agent = await Program.start(['agent', ...flags], join(data, 'logs', 'agent.log'), command);
  await using _ = { [Symbol.asyncDispose]: async () => await agent.end() };
  for (;;) {
    const { items } = await hub.call<ListResponse<ClusterItem>>('GET', pathOf('get', 'clusters'));
    if (items[0]?.ingresses === ingresses) break;
    if (performance.now() - started > REPORTED_WITHIN) throw new Error(`the hub has ${items[0]?.ingresses} Ingresses`);
    await sleep(20);
  }
  const reported = (performance.now() - started) / 1_000;
  const startCpu = await cpuSeconds(agent.pid);
  const ops = String(agent.ready['ops']);
  // What the first minute still brings belongs to the start.
  await sleep(idleMs / 3);

  const [cpuBefore, requestsBefore] = [await cpuSeconds(agent.pid), await requestsOf(ops)];
  await sleep(idleMs);
  const [cpuAfter, requestsAfter] = [await cpuSeconds(agent.pid), await requestsOf(ops)];
  const { rss, anonymous } = await resident(agent.pid);
  const perMinute = (verbs: (verb: string) => boolean): number => {
    const sum = (counts: ReadonlyMap<string, number>): number =>
      [...counts].reduce((total, [verb, count]) => total + (verbs(verb) ? count : 0), 0);
    return ((sum(requestsAfter) - sum(requestsBefore)) * 60_000) / idleMs;
  };
  for (let i = 0; i < CHANGES; i++) {
    await eu.api.update(slice(7, i + 2));
    await sleep(50);
  }
  const changed = await cpuSeconds(agent.pid);
  return {
    ingresses,
    reported,
    startCpu,
    rss,
    anonymous,
    idleCpu: (1_000_000 * (cpuAfter - cpuBefore)) / idleMs,
    changeCpu: (1_000 * (changed - cpuAfter)) / CHANGES,
    requests: perMinute((verb) => verb !== 'watch'),
    watches: perMinute((verb) => verb === 'watch'),
  };
}

/** By verb. */
async function requestsOf(ops: string): Promise<ReadonlyMap<string, number>> {
  const counts = await metricOf(ops, 'headgate_kubernetes_requests_total', 'verb');
  if ((counts.get('list') ?? 0) === 0) throw new Error('the agent counts no requests');
  return counts;
}

function* objects(from: number, to: number): Generator<KubeObject> {
  for (let i = from; i < to; i++) {
    const name = `app-${i}`;
    yield service({ namespace: NAMESPACE, name });
    yield slice(i, 1);
    yield ingress({ namespace: NAMESPACE, name, host: `${name}.example`, service: name, ingressClass: 'headgate' });
  }
}

/** @param version makes the first address another one; less than 250 */
function slice(index: number, version: number): KubeObject {
  const addresses = Array.from({ length: ENDPOINTS }, (_, at) => `10.244.${index % 250}.${at + 1}`);
  addresses[0] = `10.245.0.${version}`;
  const endpoints = addresses.map((address) => ({ address }));
  const name = `app-${index}`;
  return endpointSlice({ namespace: NAMESPACE, name: `${name}-1`, service: name, port: 8080, endpoints });
}

export const kubeAgentSize: Bench = {
  name: 'kubernetes:agent',
  summary: 'a cluster agent at 1,000 and 5,000 Ingresses: start, memory, CPU, requests while nothing changes',
  podNetwork: true,
  run,
};
