import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';
import { freeAddress } from '../../cli/demo/ports.ts';
import type { ProcessFleet } from '../../cli/demo/process-fleet.ts';
import { headgate, Program } from '../../cli/demo/processes.ts';
import { HaproxyContainer } from '../data-plane/haproxy-container.ts';

const DRAIN = join(import.meta.dirname, '../../deploy/image/haproxy-drain.ts');

export interface NodePodOptions {
  readonly fleet: ProcessFleet;
  readonly cluster: string;
  readonly node: string;
  /** Of the cluster agent, for nodes. */
  readonly clusterAgent: string;
  /** Seconds that HAProxy takes new connections for when the pod ends; the agent stays for `stays`. */
  readonly drains: number;
  readonly stays: number;
}

let made = 0;

/**
 * One pod of the chart's DaemonSet, as a kubelet runs it in the profile "restricted": the init container, HAProxy's
 * container and the agent's, on addresses and with a folder of its own. HAProxy has namespaces of its own.
 */
export class NodePod implements AsyncDisposable {
  readonly http: string;
  readonly https: string;
  readonly ops: string;
  readonly #options: NodePodOptions;
  readonly #folder: string;
  readonly #container: HaproxyContainer;
  readonly #agent: Program;

  private constructor(options: NodePodOptions, folder: string, container: HaproxyContainer, agent: Program) {
    this.#options = options;
    this.#folder = folder;
    this.#container = container;
    this.#agent = agent;
    this.http = String(agent.ready['http']);
    this.https = String(agent.ready['https']);
    this.ops = String(agent.ready['ops']);
  }

  /** Resolves when the agent says that it is ready. */
  static async start(options: NodePodOptions): Promise<NodePod> {
    const { fleet, cluster, node, clusterAgent, stays } = options;
    await using started = new AsyncDisposableStack();
    const folder = join(fleet.data, `pod${made++}`);
    mkdirSync(folder);
    started.defer(() => rmSync(folder, { recursive: true, force: true }));
    const token = join(folder, 'join');
    writeFileSync(token, await fleet.must(['cluster', 'add', cluster, '--role', 'node', '-o', 'token']), {
      mode: 0o600,
    });
    const data = join(folder, 'd');
    const flags = ['--cluster', cluster, '--node', node, '--data', data, '--haproxy', haproxyBinary];
    for (const name of ['http', 'https', 'gateway']) flags.push(`--listen-${name}`, await freeAddress());

    const { code, stderr } = await headgate(['agent', 'render', ...flags]);
    if (code !== 0) throw new Error(`the init container ended with ${code}: ${stderr}`);
    const container = started.use(new HaproxyContainer(join(data, 'haproxy')));
    container.start();
    const own = ['--roles', 'node', '--haproxy-external', '--drain', String(stays), '--hub', clusterAgent];
    const rest = ['--join', token, '--ops', '127.0.0.1:0'];
    const log = join(fleet.data, 'logs', `${node}.log`);
    const agent = await Program.start(['agent', ...flags, ...own, ...rest], log);
    started.move();
    return new NodePod(options, folder, container, agent);
  }

  async readiness(check = ''): Promise<{ readonly status: number; readonly text: string }> {
    const answer = await fetch(`http://${this.ops}/readyz${check}`, { signal: AbortSignal.timeout(1_000) });
    return { status: answer.status, text: await answer.text() };
  }

  /** To the agent. */
  signal(name: NodeJS.Signals): void {
    this.#agent.signal(name);
  }

  /** The containers' end: the agent has its signal while HAProxy's hook runs. Resolves when both have ended. */
  async end(): Promise<void> {
    this.#agent.signal('SIGTERM');
    const agent = this.#agent.running ? once(this.#agent.child, 'exit') : undefined;
    await this.#container.exec(process.execPath, [DRAIN, this.#container.place, String(this.#options.drains)]);
    await this.#container.ended();
    await agent;
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.end('SIGKILL');
    await this.#container[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
