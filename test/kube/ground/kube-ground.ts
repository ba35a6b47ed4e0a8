/*
 * The ground that tests, benches and the demo of Kubernetes stand on: real kube-apiservers on a real etcd.
 *
 *   await using ground = await KubeGround.start({ clusters: ['eu', 'us', 'ap'], controllerManager: true });
 *   const eu = ground.cluster('eu');
 *   await using pods = await PodStandIn.start(eu);          // nodes, and pods that answer HTTP from 10.244.0.0/16
 *   await eu.createNamespace('shop');
 *   await eu.api.apply(deployment({ … }), service({ … }), ingress({ … }));
 *   await eu.kubectl(['apply', '-f', '-'], yaml);
 *
 * kube-ground.ts    etcd and the clusters on it; kube-cluster.ts one cluster: kubeconfigs, tokens, kill, pause, restart
 * kube-api.ts       an API server's JSON interface: create, apply, get, patch, list, watch, waitFor, raw requests
 * objects.ts        the few objects that tests make again and again, an EndpointSlice without a controller among them
 * pod-stand-in.ts   plays scheduler and kubelet; answering.ts is what its pods do, for tests without pods too
 * programs.ts       where the programs are (script/kube-programs); program.ts one running; credentials.ts all keys
 *
 * Everything listens on 127.0.0.1 at ports chosen at run time. Only the pods' addresses need a network in which
 * 10.244.0.0/16 is local, which is why `npm run test:kube` runs it all by script/in-pod-network. Three clusters take
 * 0.7 GiB and start in 5 to 7 s on two idle cores; a controller-manager takes 0.1 GiB more each.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeCluster } from './kube-cluster.ts';
import { freePort, Program } from './program.ts';
import { kubePrograms, type KubePrograms } from './programs.ts';

export interface KubeGroundOptions {
  /** Names; each is one API server. */
  readonly clusters: readonly string[];
  /** Fills Deployments, EndpointSlices, ServiceAccounts and ends namespaces. False where absent. */
  readonly controllerManager?: boolean;
  /** 3.4 cannot stream initial lists. 3.6 where absent. */
  readonly etcd?: '3.6' | '3.4';
}

export class KubeGround implements AsyncDisposable {
  readonly clusters: readonly KubeCluster[];
  readonly #etcd: Program;
  readonly #folder: string;

  private constructor(clusters: readonly KubeCluster[], etcd: Program, folder: string) {
    this.clusters = clusters;
    this.#etcd = etcd;
    this.#folder = folder;
  }

  /** Starts all clusters at once; resolves when each is ready. */
  static async start(options: KubeGroundOptions): Promise<KubeGround> {
    const programs = await kubePrograms();
    const folder = await mkdtemp(join(tmpdir(), 'headgate-kube-'));
    const { program, url } = await startEtcd(etcdOf(programs, options.etcd ?? '3.6'), folder);
    const started = await Promise.allSettled(
      options.clusters.map(async (name) => {
        const own = join(folder, name);
        await mkdir(own);
        const controllerManager = options.controllerManager ?? false;
        return await KubeCluster.start({ name, folder: own, programs, etcd: url, controllerManager });
      }),
    );
    const clusters = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const ground = new KubeGround(clusters, program, folder);
    const failed = started.find((result) => result.status === 'rejected');
    if (failed === undefined) return ground;
    await ground[Symbol.asyncDispose]();
    throw failed.reason;
  }

  cluster(name: string): KubeCluster {
    const found = this.clusters.find((cluster) => cluster.name === name);
    if (found === undefined) throw new Error(`there is no cluster '${name}'`);
    return found;
  }

  /** Of all its processes that run. */
  get pids(): readonly number[] {
    const etcd = this.#etcd.running ? [this.#etcd.pid] : [];
    return [...etcd, ...this.clusters.flatMap(({ pids }) => pids)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.clusters.map(async (cluster) => await cluster[Symbol.asyncDispose]()));
    await this.#etcd.kill();
    await rm(this.#folder, { recursive: true });
  }
}

function etcdOf(programs: KubePrograms, version: '3.6' | '3.4'): string {
  if (version === '3.6') return programs.etcd;
  if (programs.oldEtcd === undefined) throw new Error('there is no etcd 3.4 here: see script/kube-programs');
  return programs.oldEtcd;
}

async function startEtcd(file: string, folder: string): Promise<{ readonly program: Program; readonly url: string }> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const flags = [
    '--name=ground',
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=ground=${peer}`,
    '--log-level=warn',
    '--unsafe-no-fsync',
  ];
  const program = Program.start(file, flags, join(folder, 'etcd.log'));
  try {
    await program.ready(async () => (await fetch(`${url}/health`).catch(() => undefined))?.ok === true);
    return { program, url };
  } catch (error) {
    await program.kill();
    await rm(folder, { recursive: true });
    throw error;
  }
}
