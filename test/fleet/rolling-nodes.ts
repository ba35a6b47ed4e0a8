import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Program } from '../../cli/demo/processes.ts';
import { type ClientResult, SteadyClient } from '../safety/steady-client.ts';
import { eventually, TestFleet, tier, trafficPolicy } from './fleet.fixture.ts';
import { NodePod } from './node-pod.ts';
import { ServiceBalancer } from './service-balancer.ts';

const HOST = 'rolling.example';
/** Requests a second of each client, over four kinds of connections. */
const RATE = 100;
/** Seconds; the chart's are longer by as much as real balancers are slower. */
const [DRAINS, STAYS] = [3, 5];

/**
 * Cluster `eu`, whose nodes are pods behind a balancer, and cluster `us`, of which every request crosses to them; under
 * load from clients of both.
 */
export class RollingNodes implements AsyncDisposable {
  readonly pods = new Map<string, NodePod>();
  readonly #fleet: TestFleet;
  readonly #balancer: ServiceBalancer;
  readonly #clusterAgent: Program;
  readonly #stack: AsyncDisposableStack;
  #clients: readonly SteadyClient[] = [];

  private constructor(fleet: TestFleet, balancer: ServiceBalancer, agent: Program, stack: AsyncDisposableStack) {
    this.#fleet = fleet;
    this.#balancer = balancer;
    this.#clusterAgent = agent;
    this.#stack = stack;
  }

  /** Resolves when every node serves, and both clients have answers. */
  static async start(nodes: readonly string[]): Promise<RollingNodes> {
    await using stack = new AsyncDisposableStack();
    const fleet = stack.use(await TestFleet.start(['us'], 2, ['eu']));
    const agent = await startClusterAgent(fleet);
    stack.defer(async () => await agent.end());
    const balancer = stack.use(await ServiceBalancer.start());
    fleet.writeAll({ namespace: 'rolling', host: HOST }, { eu: 2, us: 1 });
    await fleet.apply(trafficPolicy('rolling', `tiers: [${tier({ eu: 1 })}]`));
    const started = new RollingNodes(fleet, balancer, agent, stack.move());
    try {
      await Promise.all(nodes.map(async (node) => await started.startPod(node)));
      await fleet.expectShares('us', HOST, { eu: 1 }, 20);
      await started.#load();
    } catch (thrown) {
      await started[Symbol.asyncDispose]();
      throw thrown;
    }
    return started;
  }

  /** Resolves when the balancer gives it connections. */
  async startPod(node: string): Promise<NodePod> {
    const clusterAgent = String(this.#clusterAgent.ready['nodes']);
    const common = { fleet: this.#fleet.fleet, cluster: 'eu', clusterAgent, drains: DRAINS, stays: STAYS };
    const pod = this.#stack.use(await NodePod.start({ ...common, node }));
    await eventually(
      async () => (await fetch(`http://${pod.http}/`, { headers: { connection: 'close' } })).status === 404,
      () => `${node} does not serve`,
    );
    this.#balancer.add(pod);
    this.pods.set(node, pod);
    await eventually(
      () => Promise.resolve(this.#balancer.has(pod)),
      () => `${node} is not ready`,
    );
    return pod;
  }

  /** Asks a pod to end; resolves when everybody has been told and the balancer has turned away from it. */
  async beginEnd(node: string): Promise<{ readonly pod: NodePod; readonly ended: Promise<void> }> {
    const pod = this.pods.get(node);
    if (pod === undefined) throw new Error(`there is no pod of ${node}`);
    const ended = pod.end();
    ended.catch(() => undefined);
    await eventually(
      async () => (await pod.readiness()).text.includes('[-]drain failed: draining'),
      () => `${node} does not say that it drains`,
    );
    const told = async () =>
      (await this.#fleet.list('nodes')).filter(({ cluster, ready }) => cluster === 'eu' && !ready);
    await eventually(
      async () => (await told()).length > 0,
      () => 'the hub is not told that the node drains',
    );
    await eventually(
      () => Promise.resolve(!this.#balancer.has(pod)),
      () => `the balancer goes on with ${node}`,
    );
    return { pod, ended };
  }

  /** Ends the load. @returns what came of it: of clients of `eu`, then of `us` */
  async stop(): Promise<readonly ClientResult[]> {
    const results = await Promise.all(this.#clients.map(async (client) => await client.stop()));
    process.stdout.write(`rolling nodes: ${results.map(words).join('; crossing: ')}\n`);
    return results;
  }

  async #load(): Promise<void> {
    const { http, https } = this.#fleet.cluster('us');
    const targets = [
      { http: this.#balancer.port('http'), https: this.#balancer.port('https') },
      { http: portOf(http), https: portOf(https) },
    ];
    const common = { hosts: [HOST], rate: RATE };
    this.#clients = await Promise.all(
      targets.map(async (target) => this.#stack.use(await SteadyClient.start({ ...target, ...common }))),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

function words({ requests, failures, retried, slowest }: ClientResult): string {
  const counts = Object.entries(requests).map(([kind, count]) => `${count} ${kind}`);
  return `${counts.join(', ')}, ${failures.length} failed, ${retried} streams sent again, slowest ${slowest.toFixed(0)} ms`;
}

/** Of `eu`, whose nodes run apart. It is the caller's to end. */
export async function startClusterAgent({ fleet }: TestFleet): Promise<Program> {
  const token = join(fleet.data, 'eu.join');
  writeFileSync(token, await fleet.must(['cluster', 'add', 'eu', '-o', 'token']), { mode: 0o600 });
  const flags = ['--hub', String(fleet.hub.ready['grpc']), '--source', `directory:${fleet.folder('eu').path}`];
  const any = ['--listen-nodes', '127.0.0.1:0', '--ops', '127.0.0.1:0'];
  const data = ['--data', join(fleet.data, 'agents', 'eu'), '--join', token];
  const args = ['agent', '--cluster', 'eu', '--roles', 'cluster', ...flags, ...any, ...data];
  return await Program.start(args, join(fleet.data, 'logs', 'eu.log'));
}
