import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { HeadgateError } from '../../lib/errors.ts';
import { endpointSlice, Folder, ingress, ingressClass, service } from './manifests.ts';
import { alive, headgate, Program, type Finished } from './processes.ts';

/** Namespace and hosts that every demo cluster declares. */
export const NAMESPACE = 'shop';
export const HOSTS = { shop: 'shop.example', cart: 'cart.example', sticky: 'sticky.example' } as const;
const PODS_PER_CLUSTER = 2;

/** What the fleet's people decided at the hub, before anything runs. */
const POLICIES = `apiVersion: headgate.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: news-everywhere, namespace: news }
spec:
  targetRefs: [{ group: "", kind: Namespace, name: news }]
  exposure: Everywhere
---
apiVersion: headgate.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: sticky, namespace: ${NAMESPACE} }
spec:
  targetRefs: [{ group: networking.k8s.io, kind: Ingress, name: sticky }]
  tiers:
  - clusters: [CLUSTERS]
  affinity: { cookie: true, drain: 10m }
`;

export interface DemoCluster {
  readonly name: string;
  readonly folder: Folder;
  readonly data: string;
  agent: Program;
  /** host:port of the entries, as the agent printed them. */
  readonly http: string;
  readonly https: string;
  readonly ops: string;
}

/** A hub, and per cluster an agent with its own HAProxy and pods: real processes on loopback. */
export class DemoFleet {
  readonly data: string;
  readonly clusters = new Map<string, DemoCluster>();
  hub: Program;
  readonly #hubArguments: string[];
  readonly #pods: ChildProcess;
  /** Port by pod, `<cluster>-<number>`. */
  readonly ports: ReadonlyMap<string, number>;

  private constructor(
    data: string,
    hub: Program,
    hubArguments: string[],
    pods: ChildProcess,
    ports: ReadonlyMap<string, number>,
  ) {
    this.data = data;
    this.hub = hub;
    this.#hubArguments = hubArguments;
    this.#pods = pods;
    this.ports = ports;
  }

  /** @param names clusters to run; @param data an empty or new folder. */
  static async start(data: string, names: readonly string[]): Promise<DemoFleet> {
    mkdirSync(join(data, 'logs'), { recursive: true });
    const podNames = names.flatMap((name) => Array.from({ length: PODS_PER_CLUSTER }, (_, i) => `${name}-${i + 1}`));
    const pods = fork(join(import.meta.dirname, 'backends.ts'), podNames, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const hubFlags = ['hub', '--data', join(data, 'hub')];
    const free = ['--grpc', '127.0.0.1:0', '--http', '127.0.0.1:0', '--ops', '127.0.0.1:0'];
    const [hub, [ports]] = await Promise.all([
      Program.start([...hubFlags, ...free], join(data, 'logs', 'hub.log')),
      once(pods, 'message') as Promise<[Record<string, number>]>,
    ]);
    const address = (name: string): string => String(hub.ready[name]);
    // Started again on the ports it got, as a hub with configured ports would be.
    const sameHub = [...hubFlags, '--grpc', address('grpc'), '--http', address('http'), '--ops', address('ops')];
    const fleet = new DemoFleet(data, hub, sameHub, pods, new Map(Object.entries(ports)));
    try {
      await Promise.all(names.map(async (name) => await fleet.#addCluster(name)));
      const clusters = names.map((name, i) => `{ name: ${name}, weight: ${i === 0 ? 50 : 25} }`).join(', ');
      await fleet.must(['apply', '-f', '-'], POLICIES.replace('CLUSTERS', clusters));
    } catch (thrown) {
      await fleet.stop();
      throw thrown;
    }
    return fleet;
  }

  cluster(name: string): DemoCluster {
    const cluster = this.clusters.get(name);
    if (cluster === undefined) throw new HeadgateError('HG2007', `the demo has no cluster '${name}'`);
    return cluster;
  }

  /** Entry addresses by cluster. */
  entries(): Map<string, string> {
    return new Map([...this.clusters].map(([name, { http }]) => [name, http]));
  }

  /** Runs a command against the demo's hub. */
  async run(args: readonly string[], input?: string): Promise<Finished> {
    return await headgate(['--config', join(this.data, 'hub', 'admin.yaml'), ...args], input);
  }

  /** The same; a failure is thrown with the command's own words. */
  async must(args: readonly string[], input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, input);
    if (code !== 0)
      throw new HeadgateError('HG9001', `headgate ${args.join(' ')} ended with ${code}: ${stderr.trim()}`);
    return stdout;
  }

  async restartHub(): Promise<void> {
    this.hub = await Program.start(this.#hubArguments, join(this.data, 'logs', 'hub.log'));
  }

  /** Starts a cluster's agent again on its folder; its HAProxy may still run. */
  async startAgent(name: string): Promise<void> {
    const cluster = this.cluster(name);
    cluster.agent = await Program.start(this.#agentArguments(name, cluster.folder.path), this.#log(name));
  }

  /** The whole cluster at once, as a power cut would: agent and HAProxy. */
  killCluster(name: string): void {
    const { agent, data } = this.cluster(name);
    const haproxy = haproxyPids(data);
    agent.signal('SIGKILL');
    for (const pid of haproxy) process.kill(pid, 'SIGKILL');
  }

  /** Every process of the fleet that is still there. */
  processes(): number[] {
    const pids = [this.hub.pid, this.#pods.pid ?? 0];
    for (const { agent, data } of this.clusters.values()) pids.push(agent.pid, ...haproxyPids(data));
    return pids.filter((pid) => pid > 0 && alive(pid));
  }

  /** Endpoint slices of a service for some of a cluster's pods; [] takes them all away. */
  writeEndpoints(cluster: string, name: string, pods = this.podsOf(cluster)): void {
    const slices = pods.map((pod) => endpointSlice(NAMESPACE, name, pod, this.ports.get(pod) ?? 0));
    this.cluster(cluster).folder.write(`${name}-endpoints.yaml`, slices.join(''));
  }

  podsOf(cluster: string): string[] {
    return [...this.ports.keys()].filter((pod) => pod.startsWith(`${cluster}-`));
  }

  /** Ends everything. Safe to call twice. */
  async stop(): Promise<void> {
    await Promise.all(
      [...this.clusters.values()].map(async ({ agent, data }) => {
        agent.signal('SIGCONT');
        await headgate(['agent', 'stop', '--data', data]);
        await agent.end();
      }),
    );
    this.hub.signal('SIGCONT');
    await this.hub.end();
    if (this.#pods.exitCode === null && this.#pods.signalCode === null) {
      const gone = once(this.#pods, 'exit');
      this.#pods.kill('SIGTERM');
      await gone;
    }
  }

  async #addCluster(name: string): Promise<void> {
    const folder = new Folder(join(this.data, 'clusters', name));
    folder.write('class.yaml', ingressClass);
    for (const [serviceName, host] of Object.entries(HOSTS)) {
      folder.write(`${serviceName}.yaml`, `${ingress(NAMESPACE, serviceName, host)}${service(NAMESPACE, serviceName)}`);
      const slices = this.podsOf(name).map((pod) =>
        endpointSlice(NAMESPACE, serviceName, pod, this.ports.get(pod) ?? 0),
      );
      folder.write(`${serviceName}-endpoints.yaml`, slices.join(''));
    }
    const token = await this.must(['cluster', 'add', name, '-o', 'token']);
    const tokenFile = join(this.data, `${name}.join`);
    writeFileSync(tokenFile, token, { mode: 0o600 });
    const agent = await Program.start(
      [...this.#agentArguments(name, folder.path), '--join', tokenFile],
      this.#log(name),
    );
    rmSync(tokenFile);
    this.clusters.set(name, {
      name,
      folder,
      data: this.#agentData(name),
      agent,
      http: String(agent.ready['http']),
      https: String(agent.ready['https']),
      ops: String(agent.ready['ops']),
    });
  }

  #agentArguments(name: string, folder: string): string[] {
    const known = this.clusters.get(name);
    const ports =
      known === undefined
        ? ['--listen-http', '127.0.0.1:0', '--listen-https', '127.0.0.1:0', '--ops', '127.0.0.1:0']
        : ['--listen-http', known.http, '--listen-https', known.https, '--ops', known.ops];
    return [
      'agent',
      '--hub',
      String(this.hub.ready['grpc']),
      '--cluster',
      name,
      '--source',
      `directory:${folder}`,
      '--data',
      this.#agentData(name),
      '--listen-gateway',
      '127.0.0.1:0',
      ...ports,
    ];
  }

  #agentData(name: string): string {
    return join(this.data, 'agents', name);
  }

  #log(name: string): string {
    return join(this.data, 'logs', `${name}.log`);
  }
}

/** HAProxy's master of an agent's data folder, and its workers. */
export function haproxyPids(data: string): number[] {
  let master: number;
  try {
    master = Number(readFileSync(join(data, 'haproxy', 'haproxy.pid'), 'utf8').trim());
    const children = readFileSync(`/proc/${master}/task/${master}/children`, 'utf8').trim();
    return [
      master,
      ...children
        .split(' ')
        .filter((pid) => pid !== '')
        .map(Number),
    ];
  } catch {
    return [];
  }
}
