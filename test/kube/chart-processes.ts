/*
 * The containers of an installed chart as processes of this machine: each has exactly the arguments that the API server
 * holds for it, but for what `onThisMachine` replaces, and the API server's client finds a kubeconfig in place of a
 * mounted token. A flag in the chart that the program does not know ends it.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withEnvironment } from '../../deploy/containers.fixture.ts';
import { HEADGATE, Program } from '../../cli/demo/processes.ts';
import type { KubeObject } from './ground/kube-api.ts';
import type { KubeCluster } from './ground/kube-cluster.ts';

interface Container {
  readonly name: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
}

interface Workload extends KubeObject {
  readonly spec: {
    readonly template: {
      readonly metadata: object;
      readonly spec: { readonly initContainers?: readonly Container[]; readonly containers: readonly Container[] };
    };
  };
}

/** What differs between a pod and this machine. */
export interface Place {
  /** The pod's `/var/lib/headgate`. */
  readonly data: string;
  /** The pod's `/run/headgate/token/token`. */
  readonly token: string;
  /** Of this pod, in place of every address of the pod's; 127.0.0.1 where absent. */
  readonly address?: string;
  /** `/metrics` and the like of several pods share one address here. */
  readonly opsPort: number;
  readonly environment?: Readonly<Record<string, string>>;
}

export async function workload(
  cluster: KubeCluster,
  kind: 'Deployment' | 'DaemonSet',
  name: string,
): Promise<Workload> {
  return await cluster.api.get<Workload>({ apiVersion: 'apps/v1', kind, metadata: { namespace: 'headgate', name } });
}

/** Every address is loopback's; a name of the cluster's DNS is too. */
function onThisMachine(args: readonly string[], place: Place): readonly string[] {
  const { data, token, address = '127.0.0.1', opsPort, environment = {} } = place;
  return withEnvironment(args, environment).map((arg) =>
    arg
      .replace(/^(--ops=).*$/, `$1${address}:${opsPort}`)
      .replace(/^(--data=)\/var\/lib\/headgate$/, `$1${data}`)
      .replace(/^(--service-account-token=)\/run\/headgate\/token\/token$/, `$1${token}`)
      .replace(/=0\.0\.0\.0:/, `=${address}:`)
      .replace(/=[a-z-]+\.headgate\.svc:/, `=${address}:`),
  );
}

function containerOf(workload: Workload, name: string): Container {
  const { initContainers = [], containers } = workload.spec.template.spec;
  const found = [...initContainers, ...containers].find((container) => container.name === name);
  if (found === undefined) throw new Error(`${workload.metadata.name} has no container ${name}`);
  return found;
}

/** Starts a container of Headgate; resolves when it is ready. `kubeconfig` is its only way to the API server. */
export async function runContainer(
  of: Workload,
  name: string,
  place: Place,
  { log, kubeconfig = '/dev/null' }: { readonly log: string; readonly kubeconfig?: string },
): Promise<Program> {
  const { args = [] } = containerOf(of, name);
  const command = [`KUBECONFIG=${kubeconfig}`, HEADGATE, ...onThisMachine(args, place), '-v'];
  try {
    return await Program.start(command, log, '/usr/bin/env');
  } catch (cause) {
    throw new Error(`${name}: ${readFileSync(log, 'utf8').split('\n').slice(-8).join('\n')}`, { cause });
  }
}

/** Runs an init container of Headgate to its end. */
export async function runToEnd(of: Workload, name: string, place: Place, log: string): Promise<void> {
  const output = openSync(log, 'a');
  const args = [...onThisMachine(containerOf(of, name).args ?? [], place)];
  const child = spawn(HEADGATE, args, { stdio: ['ignore', output, output] });
  closeSync(output);
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${name} ended with ${code}: see ${log}`);
}

/** HAProxy's container: its own command line, in the folder that it shares with the agent's. */
export function runHaproxy(of: Workload, { data }: Place, log: string): AsyncDisposable {
  const [program = '', ...command] = containerOf(of, 'haproxy').command ?? [];
  const haproxy = execFileSync('sh', ['-c', 'command -v haproxy']).toString().trim();
  const args = command.map((word) => (word === '/usr/local/sbin/haproxy' ? haproxy : word));
  const output = openSync(log, 'a');
  const child = spawn(program, args, { cwd: join(data, 'haproxy'), stdio: ['ignore', output, output] });
  closeSync(output);
  return {
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
