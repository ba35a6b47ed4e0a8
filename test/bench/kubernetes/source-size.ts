import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeCluster } from '../../kube/ground/kube-cluster.ts';
import { KubeGround } from '../../kube/ground/kube-ground.ts';
import { endpointSlice, ingress, service } from '../../kube/ground/objects.ts';
import { ingressClass } from '../../kube/source/followed.fixture.ts';
import type { Bench, BenchOptions, BenchReport } from '../bench.ts';
import { residentMib } from '../machine.ts';
import { round, spread } from '../numbers.ts';

/** As bin/headgate starts an agent. */
const AS_AGENT = ['--max-semi-space-size=2', '--optimize-for-size'];
const ENDPOINTS = 10;
const CHANGES = 100;
/** Milliseconds after which what was needed only to start has been freed, if it ever is. */
const SETTLED = 5_000;

async function run({ smoke, note }: BenchOptions): Promise<BenchReport> {
  const size = smoke ? 50 : 5_000;
  await using ground = await KubeGround.start({ clusters: ['eu'] });
  const eu = ground.cluster('eu');
  note(`${size} Ingresses, Services and EndpointSlices with ${ENDPOINTS} endpoints each`);
  await eu.api.apply(ingressClass);
  await eu.api.createAll(objects(size));
  note('source');
  await using source = new SourceProcess(eu.kubeconfig);
  const first = await source.line();
  await sleep(SETTLED);
  const settled = await residentMib(source.pid);
  const peak = await peakMib(source.pid);
  note('changes of endpoints');
  const delays = await endpointDelays(eu, source, smoke ? 10 : CHANGES);
  const after = await residentMib(source.pid);
  const counts = [first['ingresses'], first['services'], first['slices']].map(Number);
  return {
    tables: [
      {
        title: `Kubernetes source at ${size} Ingresses and Services, ${size * ENDPOINTS} endpoints`,
        columns: ['start to first report, ms', 'RSS settled, MiB', 'RSS at most', 'RSS after changes'],
        rows: [[Number(first['listed']), round(settled, 0), round(peak, 0), round(after, 0)]],
      },
      {
        title: "API's reply to a change of endpoints → published to nodes, ms",
        columns: ['p50', 'p99', 'most'],
        rows: [spread(delays)],
      },
    ],
    figures: smoke
      ? []
      : [
          { what: 'memory at 5,000 Ingresses', limit: 300, seen: Math.round(peak), unit: 'MiB' },
          { what: 'start to first report', limit: 10, seen: round(Number(first['listed']) / 1_000, 1), unit: 's' },
        ],
    faults: counts.every((count) => count === size) ? [] : [`the first report held ${counts.join(', ')}, not ${size}`],
  };
}

function* objects(size: number) {
  for (let i = 0; i < size; i++) {
    const namespace = 'default';
    const name = `app-${i}`;
    yield service({ namespace, name });
    yield slice(i, 1);
    yield ingress({ namespace, name, host: `${name}.example`, service: name, ingressClass: 'headgate' });
  }
}

/** @param version 1 or greater; makes the first address another one. */
function slice(index: number, version: number) {
  const addresses = Array.from({ length: ENDPOINTS }, (_, at) => `10.244.${index % 250}.${at + 20}`);
  addresses[0] = addressOf(version);
  const endpoints = addresses.map((address) => ({ address }));
  return endpointSlice({
    namespace: 'default',
    name: `app-${index}-1`,
    service: `app-${index}`,
    port: 8080,
    endpoints,
  });
}

function addressOf(version: number): string {
  return `10.245.${Math.floor(version / 250)}.${(version % 250) + 1}`;
}

/** Milliseconds. A watch may be faster than the reply to the write that caused its event: then 0. */
async function endpointDelays(eu: KubeCluster, source: SourceProcess, changes: number): Promise<readonly number[]> {
  const delays: number[] = [];
  for (let version = 2; version < changes + 2; version++) {
    await eu.api.update(slice(7, version));
    const replied = performance.timeOrigin + performance.now();
    for (;;) {
      const { name, addresses, at } = await source.line();
      if (name !== 'default/app-7-1' || !(addresses as readonly string[]).includes(addressOf(version))) continue;
      delays.push(Math.max(0, Number(at) - replied));
      break;
    }
  }
  return delays;
}

async function peakMib(pid: number): Promise<number> {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
}

class SourceProcess implements AsyncDisposable {
  readonly #child;
  readonly #lines: AsyncIterator<string>;

  constructor(kubeconfig: string) {
    const program = join(import.meta.dirname, 'source-process.ts');
    this.#child = spawn(process.execPath, [...AS_AGENT, program, kubeconfig], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
    });
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async line(): Promise<Readonly<Record<string, unknown>>> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the source ended');
    return JSON.parse(value) as Record<string, unknown>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exit;
  }
}

export const sourceSize: Bench = {
  name: 'kubernetes:source',
  summary: 'memory and start of a cluster agent that reads an API server with 5,000 Ingresses',
  podNetwork: true,
  run,
};
