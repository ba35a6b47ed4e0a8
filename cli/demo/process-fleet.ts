import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { isAlive } from '../../agent/haproxy/process/stop.ts';
import type { AddClusterRequest, AddClusterResponse } from '../../hub/api/types.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { connectHub, pathOf } from '../client.ts';
import { Folder } from './manifests.ts';
import { freeAddress } from './ports.ts';
import { HEADGATE, headgate, Program, type Finished } from './processes.ts';

export interface FleetCluster {
  readonly name: string;
  /** The cluster's manifests. */
  readonly folder: Folder;
  /** Its agent's data folder. */
  readonly data: string;
  agent: Program;
  /** host:port of the entries and of ops, as the agent printed them. */
  readonly http: string;
  readonly https: string;
  readonly gateway: string;
  readonly ops: string;
}

const ANY_PORT = '127.0.0.1:0';

/**
 * A hub, and per cluster an agent with its own HAProxy: real processes of this program on loopback, on ports
 * that the system chose and that a restart keeps. Used by the demo and by tests.
 */
export class ProcessFleet implements AsyncDisposable {
  readonly data: string;
  readonly clusters = new Map<string, FleetCluster>();
  hub: Program;
  readonly #startHub: (ports: readonly string[]) => Promise<Program>;

  private constructor(data: string, hub: Program, startHub: (ports: readonly string[]) => Promise<Program>) {
    this.data = data;
    this.hub = hub;
    this.#startHub = startHub;
  }

  /**
   * Starts the hub.
   * @param data an empty or new folder; keep its path short: HAProxy's sockets lie below it.
   * @param hubCommand what runs a hub with its flags, in place of this program's own.
   */
  static async start(data: string, hubCommand: readonly string[] = [HEADGATE, 'hub']): Promise<ProcessFleet> {
    mkdirSync(join(data, 'logs'), { recursive: true });
    const [command, ...args] = hubCommand;
    const flags = [...args, '--data', join(data, 'hub')];
    const log = join(data, 'logs', 'hub.log');
    const start = async (ports: readonly string[]) => await Program.start([...flags, ...ports], log, command);
    const hub = await start(['--grpc', ANY_PORT, '--http', ANY_PORT, '--ops', ANY_PORT]);
    return new ProcessFleet(data, hub, start);
  }

  get adminConfig(): string {
    return join(this.data, 'hub', 'admin.yaml');
  }

  cluster(name: string): FleetCluster {
    const cluster = this.clusters.get(name);
    if (cluster === undefined) throw new HeadgateError('HG2007', `the fleet has no cluster '${name}'`);
    return cluster;
  }

  /** The folder that a cluster's manifests are in, before or after it is added. */
  folder(name: string): Folder {
    return this.clusters.get(name)?.folder ?? new Folder(join(this.data, 'clusters', name));
  }

  /** Entry addresses by cluster. */
  entries(): Map<string, string> {
    return new Map([...this.clusters].map(([name, { http }]) => [name, http]));
  }

  /**
   * Adds a cluster and starts its agent on `folder(name)`.
   * @param flags further flags of the agent
   * @param command what runs it, in place of this program
   */
  async addCluster(name: string, flags: readonly string[] = [], command?: string): Promise<FleetCluster> {
    const hub = await connectHub({ config: this.adminConfig });
    const body: AddClusterRequest = { name };
    const { token } = await hub.call<AddClusterResponse>('POST', pathOf('clusters'), { body });
    const tokenFile = join(this.data, `${name}.join`);
    writeFileSync(tokenFile, token, { mode: 0o600 });
    const folder = this.folder(name);
    const data = join(this.data, 'agents', name);
    const ports = ['--ops', ANY_PORT];
    for (const listener of ['http', 'https', 'gateway']) ports.push(`--listen-${listener}`, await freeAddress());
    const agent = await Program.start(
      [...this.#agentFlags(name, folder.path, data), ...ports, '--join', tokenFile, ...flags],
      this.#log(name),
      command,
    );
    rmSync(tokenFile);
    const address = (field: string): string => String(agent.ready[field]);
    const cluster = {
      name,
      folder,
      data,
      agent,
      http: address('http'),
      https: address('https'),
      gateway: address('gateway'),
      ops: address('ops'),
    };
    this.clusters.set(name, cluster);
    return cluster;
  }

  /** Starts a cluster's agent again on its folder and its ports; its HAProxy may still run. */
  async startAgent(name: string, flags: readonly string[] = []): Promise<void> {
    const cluster = this.cluster(name);
    const { http, https, gateway, ops, folder, data } = cluster;
    const ports = ['--listen-http', http, '--listen-https', https, '--listen-gateway', gateway, '--ops', ops];
    cluster.agent = await Program.start(
      [...this.#agentFlags(name, folder.path, data), ...ports, ...flags],
      this.#log(name),
    );
  }

  async restartHub(): Promise<void> {
    const { ready } = this.hub;
    this.hub = await this.#startHub(['grpc', 'http', 'ops'].flatMap((name) => [`--${name}`, String(ready[name])]));
  }

  /** The whole cluster at once, as a power cut would: agent and HAProxy. */
  killCluster(name: string): void {
    const { agent, data } = this.cluster(name);
    const haproxy = haproxyPids(data);
    agent.signal('SIGKILL');
    for (const pid of haproxy) process.kill(pid, 'SIGKILL');
  }

  /** Runs a command against this fleet's hub. */
  async run(args: readonly string[], input?: string): Promise<Finished> {
    return await headgate(['--config', this.adminConfig, ...args], input);
  }

  /** The same; a failure is thrown with the command's own words. */
  async must(args: readonly string[], input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, input);
    if (code !== 0)
      throw new HeadgateError('HG9001', `headgate ${args.join(' ')} ended with ${code}: ${stderr.trim()}`);
    return stdout;
  }

  /** Every process of the fleet that is still there. */
  processes(): number[] {
    const pids = [this.hub.pid];
    for (const { agent, data } of this.clusters.values()) pids.push(agent.pid, ...haproxyPids(data));
    return pids.filter((pid) => pid > 0 && isAlive(pid));
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
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #agentFlags(name: string, folder: string, data: string): string[] {
    const hub = String(this.hub.ready['grpc']);
    const source = `directory:${folder}`;
    return ['agent', '--hub', hub, '--cluster', name, '--source', source, '--data', data];
  }

  #log(name: string): string {
    return join(this.data, 'logs', `${name}.log`);
  }
}

/** HAProxy's master of an agent's data folder, and its workers. */
export function haproxyPids(data: string): number[] {
  try {
    const master = Number(readFileSync(join(data, 'haproxy', 'haproxy.pid'), 'utf8').trim());
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
