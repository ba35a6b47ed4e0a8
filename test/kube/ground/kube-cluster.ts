import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterCredentials, kubeconfigText, type KubeCredential, type KubeUser } from './credentials.ts';
import { KubeApi } from './kube-api.ts';
import { freePort, Program } from './program.ts';
import type { KubePrograms } from './programs.ts';

export interface KubeClusterOptions {
  readonly name: string;
  /** Exists, and is this cluster's alone. */
  readonly folder: string;
  readonly programs: KubePrograms;
  /** URL. */
  readonly etcd: string;
  readonly controllerManager: boolean;
}

export interface ServiceAccountTokenOptions {
  /** The API server's own, which is the issuer, where absent. */
  readonly audience?: string;
  /** 600 or more; an hour where absent. */
  readonly seconds?: number;
}

const CONTROLLERS = [
  'deployment-controller',
  'endpoints-controller',
  'endpointslice-controller',
  'garbage-collector-controller',
  'namespace-controller',
  'replicaset-controller',
  'root-ca-certificate-publisher-controller',
  'serviceaccount-controller',
];

/** Milliseconds. */
const PROBE_TIMEOUT = 5_000;

/** One Kubernetes cluster without nodes: a kube-apiserver and, where asked for, a kube-controller-manager. */
export class KubeCluster implements AsyncDisposable {
  readonly name: string;
  /** `https://127.0.0.1:PORT`; the same after `restart`. */
  readonly server: string;
  /** `iss` of its ServiceAccounts' tokens; nothing listens there. */
  readonly issuer: string;
  readonly credentials: ClusterCredentials;
  /** Path of the administrator's. */
  readonly kubeconfig: string;
  /** As the administrator. */
  readonly api: KubeApi;
  readonly #options: KubeClusterOptions;
  readonly #port: number;
  #apiServer: Program | undefined;
  #controllerManager: Program | undefined;
  #configurations = 0;

  private constructor(options: KubeClusterOptions, credentials: ClusterCredentials, port: number) {
    this.#options = options;
    this.#port = port;
    this.name = options.name;
    this.server = `https://127.0.0.1:${port}`;
    this.issuer = `https://${options.name}.test`;
    this.credentials = credentials;
    this.kubeconfig = join(options.folder, 'admin.kubeconfig');
    this.api = new KubeApi({ server: this.server, ca: credentials.ca, token: credentials.adminToken });
  }

  static async start(options: KubeClusterOptions): Promise<KubeCluster> {
    const credentials = await ClusterCredentials.create(join(options.folder, 'credentials'), options.name);
    const cluster = new KubeCluster(options, credentials, await freePort());
    try {
      const admin = kubeconfigText(cluster.server, credentials.ca, { token: credentials.adminToken });
      await writeFile(cluster.kubeconfig, admin, { mode: 0o600 });
      await cluster.resurrect();
      if (options.controllerManager) await cluster.#startControllerManager();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The API server's; another after `restart`. */
  get pid(): number {
    return this.#running().pid;
  }

  /** Of all its processes that run. */
  get pids(): readonly number[] {
    return [this.#apiServer, this.#controllerManager].flatMap((program) =>
      program?.running === true ? [program.pid] : [],
    );
  }

  /** The API server stops where it is: connections stay open, nothing is answered. */
  pause(): void {
    this.#running().pause();
  }

  resume(): void {
    this.#running().resume();
  }

  /** The API server ends at once and stays away until `resurrect`. */
  async kill(): Promise<void> {
    await this.#apiServer?.kill();
    this.#apiServer = undefined;
  }

  /** Starts the API server, at the same address and over the same data, and waits until it is ready. */
  async resurrect(): Promise<void> {
    const started = Program.start(
      this.#options.programs.apiServer,
      this.#apiServerFlags(),
      join(this.#options.folder, 'kube-apiserver.log'),
    );
    this.#apiServer = started;
    await started.ready(async () => {
      const signal = AbortSignal.timeout(PROBE_TIMEOUT);
      return (await this.api.request('GET', '/readyz', { signal }).catch(() => undefined))?.status === 200;
    });
  }

  /** `kill` and `resurrect`: versions from before are too old for a watch then. */
  async restart(): Promise<void> {
    await this.kill();
    await this.resurrect();
  }

  /** Path of kubectl. */
  get kubectlProgram(): string {
    return this.#options.programs.kubectl;
  }

  /** Runs kubectl as the administrator; resolves with what it printed, rejects with its own words. */
  async kubectl(args: readonly string[], input = ''): Promise<string> {
    return await this.#run(this.#options.programs.kubectl, args, input);
  }

  /** Runs Helm as the administrator. */
  async helm(args: readonly string[]): Promise<string> {
    const home = join(this.#options.folder, 'helm');
    return await this.#run(this.#options.programs.helm, args, '', {
      HELM_CACHE_HOME: join(home, 'cache'),
      HELM_CONFIG_HOME: join(home, 'config'),
      HELM_DATA_HOME: join(home, 'data'),
    });
  }

  async createNamespace(name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
    if (this.#options.controllerManager) await this.#defaultServiceAccount(name);
  }

  /** A token as the kubelet projects it into a pod. The ServiceAccount must be there. */
  async createServiceAccountToken(
    namespace: string,
    name: string,
    options: ServiceAccountTokenOptions = {},
  ): Promise<string> {
    const request = await this.api.call<{ readonly status: { readonly token: string } }>(
      'POST',
      `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
      {
        body: {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          spec: { audiences: [options.audience ?? this.issuer], expirationSeconds: options.seconds ?? 3_600 },
        },
      },
    );
    return request.status.token;
  }

  /** The public keys that its ServiceAccounts' tokens are signed with, as an administrator fetches them to pin them. */
  async jwks(): Promise<{ readonly keys: readonly Readonly<Record<string, unknown>>[] }> {
    const body = await this.api.call<unknown>('GET', '/openid/v1/jwks');
    return (typeof body === 'string' ? JSON.parse(body) : body) as { keys: Record<string, unknown>[] };
  }

  /** Path of a kubeconfig for a ServiceAccount, for a user with a client certificate, or for a token. */
  async kubeconfigFor(
    who: { readonly namespace: string; readonly serviceAccount: string } | KubeUser | KubeCredential,
  ): Promise<string> {
    let credential: KubeCredential;
    if ('serviceAccount' in who) {
      credential = { token: await this.createServiceAccountToken(who.namespace, who.serviceAccount) };
    } else if ('groups' in who) credential = await this.credentials.issueClient(who);
    else credential = who;
    const path = join(this.#options.folder, `${++this.#configurations}.kubeconfig`);
    await writeFile(path, kubeconfigText(this.server, this.credentials.ca, credential), { mode: 0o600 });
    return path;
  }

  /** The API as somebody else; anonymous where there is no token. Dispose of it. */
  apiAs(token: string | undefined): KubeApi {
    return new KubeApi({ server: this.server, ca: this.credentials.ca, token });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#controllerManager?.kill();
    await this.kill();
    this.api[Symbol.dispose]();
  }

  #running(): Program {
    if (this.#apiServer === undefined) throw new Error(`the API server of ${this.name} is not running`);
    return this.#apiServer;
  }

  #apiServerFlags(): readonly string[] {
    const { credentials, issuer } = this;
    return [
      '--bind-address=127.0.0.1',
      `--secure-port=${this.#port}`,
      '--advertise-address=127.0.0.1',
      '--endpoint-reconciler-type=none',
      `--etcd-servers=${this.#options.etcd}`,
      `--etcd-prefix=/registry/${this.name}`,
      '--storage-backend=etcd3',
      `--cert-dir=${credentials.folder}`,
      `--tls-cert-file=${credentials.file('server.pem')}`,
      `--tls-private-key-file=${credentials.file('server.key')}`,
      `--client-ca-file=${credentials.file('ca.pem')}`,
      `--token-auth-file=${credentials.file('tokens.csv')}`,
      `--service-account-issuer=${issuer}`,
      `--api-audiences=${issuer}`,
      `--service-account-key-file=${credentials.file('sa.pub')}`,
      `--service-account-signing-key-file=${credentials.file('sa.key')}`,
      '--authorization-mode=RBAC',
      '--anonymous-auth=true',
      '--service-cluster-ip-range=10.96.0.0/16',
      '--enable-admission-plugins=DefaultIngressClass',
      // Without a controller-manager no namespace has a default ServiceAccount, and no pod would be let in.
      ...(this.#options.controllerManager ? [] : ['--disable-admission-plugins=ServiceAccount']),
      '--allow-privileged=true',
      '--profiling=false',
      '--v=1',
    ];
  }

  async #startControllerManager(): Promise<void> {
    const port = await freePort();
    const started = Program.start(
      this.#options.programs.controllerManager,
      [
        `--kubeconfig=${this.kubeconfig}`,
        `--authentication-kubeconfig=${this.kubeconfig}`,
        `--authorization-kubeconfig=${this.kubeconfig}`,
        '--leader-elect=false',
        '--bind-address=127.0.0.1',
        `--secure-port=${port}`,
        `--cert-dir=${this.credentials.folder}`,
        `--service-account-private-key-file=${this.credentials.file('sa.key')}`,
        `--root-ca-file=${this.credentials.file('ca.pem')}`,
        '--use-service-account-credentials=false',
        `--controllers=${CONTROLLERS.join(',')}`,
        '--v=1',
      ],
      join(this.#options.folder, 'kube-controller-manager.log'),
    );
    this.#controllerManager = started;
    await started.ready(async () => await this.#hasDefaultServiceAccount('default'));
  }

  async #defaultServiceAccount(namespace: string): Promise<void> {
    while (!(await this.#hasDefaultServiceAccount(namespace))) await sleep(20);
  }

  async #hasDefaultServiceAccount(namespace: string): Promise<boolean> {
    const { status } = await this.api.request('GET', `/api/v1/namespaces/${namespace}/serviceaccounts/default`);
    return status === 200;
  }

  async #run(
    file: string,
    args: readonly string[],
    input: string,
    environment: NodeJS.ProcessEnv = {},
  ): Promise<string> {
    const env = { ...process.env, HOME: this.#options.folder, ...environment, KUBECONFIG: this.kubeconfig };
    return await new Promise((resolve, reject) => {
      const child = execFile(file, args, { env, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(stderr.trim() === '' ? error.message : stderr.trim(), { cause: error }));
      });
      child.stdin?.end(input);
    });
  }
}
