import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { isIPv6 } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
// Its KubeConfig loads 80 MiB of generated models with it; its exec plugins stand alone.
import { ExecAuth } from '@kubernetes/client-node/dist/exec_auth.js';
import type { Clock } from '../clock.ts';
import { HeadgateError } from '../errors.ts';
import { readKubeconfig, type Kubeconfig, type PemSource } from './kubeconfig.ts';

/** Where Kubernetes mounts a pod's ServiceAccount. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Milliseconds for which a token read from a file is used; the kubelet renews it long before it ends. */
const TOKEN_MS = 60_000;
/** Milliseconds that an exec plugin may take. */
const PLUGIN_MS = 30_000;

export interface TlsOptions extends Pick<SecureContextOptions, 'ca' | 'cert' | 'key'> {
  readonly servername?: string;
  readonly rejectUnauthorized: boolean;
}

/** Where an API server is, and what proves who asks. */
export interface Credentials {
  readonly server: string;
  /** For a new connection; files are read anew, so that renewed ones are used. */
  tls(): Promise<TlsOptions>;
  /** Value of the Authorization header; undefined where the certificate says it all. */
  authorization(): Promise<string | undefined>;
  /** The server did not accept them: whatever is cached is not used again. */
  refresh(): void;
}

/**
 * @param kubeconfig file; without one those of the cluster this runs in, then of KUBECONFIG.
 * @throws HeadgateError HG2001 where there are none, HG2003 and HG1002 of a kubeconfig
 */
export async function openCredentials(kubeconfig: string | undefined, clock: Clock): Promise<Credentials> {
  const config = kubeconfig !== undefined ? await readKubeconfig(kubeconfig) : await surroundings();
  if (!config.server.startsWith('https://')) {
    throw new HeadgateError('HG1010', `the API server ${config.server} is not reached by https`, {
      remedy: 'name its https address in the kubeconfig',
    });
  }
  return new ConfigCredentials(config, clock);
}

async function surroundings(): Promise<Kubeconfig> {
  const host = process.env['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = process.env['KUBERNETES_SERVICE_PORT'] ?? '';
  if (host !== '' && port !== '' && existsSync(`${SERVICE_ACCOUNT}/token`)) {
    return {
      server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
      ca: { file: `${SERVICE_ACCOUNT}/ca.crt` },
      verify: true,
      serverName: undefined,
      certificate: undefined,
      key: undefined,
      token: undefined,
      tokenFile: `${SERVICE_ACCOUNT}/token`,
      exec: undefined,
    };
  }
  const named = process.env['KUBECONFIG'] ?? '';
  if (named !== '') return await readKubeconfig(named);
  throw new HeadgateError('HG2001', 'no Kubernetes API server is known', {
    remedy: 'give --kubeconfig FILE, or run in a pod with a ServiceAccount',
  });
}

class ConfigCredentials implements Credentials {
  readonly #config: Kubeconfig;
  readonly #clock: Clock;
  #token: { readonly value: string; readonly until: number } | undefined;
  #exec = new ExecAuth();

  constructor(config: Kubeconfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
  }

  get server(): string {
    return this.#config.server;
  }

  async tls(): Promise<TlsOptions> {
    const { ca, certificate, key, verify, serverName, exec } = this.#config;
    const plugin: RequestOptions = exec === undefined ? {} : await this.#plugin();
    const own = {
      ca: await read(ca),
      cert: plugin.cert ?? (await read(certificate)),
      key: plugin.key ?? (await read(key)),
    };
    return {
      ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)),
      ...(serverName === undefined ? {} : { servername: serverName }),
      rejectUnauthorized: verify,
    };
  }

  async authorization(): Promise<string | undefined> {
    const { token, tokenFile, exec } = this.#config;
    if (exec !== undefined) {
      const header: unknown = ((await this.#plugin()).headers as Record<string, unknown>)['Authorization'];
      return typeof header === 'string' ? header : undefined;
    }
    if (tokenFile === undefined) return token === undefined ? undefined : `Bearer ${token}`;
    if (this.#token === undefined || this.#token.until <= this.#clock.now()) {
      const value = (await read({ file: tokenFile }))?.trim() ?? '';
      this.#token = { value, until: this.#clock.now() + TOKEN_MS };
    }
    return `Bearer ${this.#token.value}`;
  }

  refresh(): void {
    this.#token = undefined;
    // It keeps what the plugin said until that has expired.
    this.#exec = new ExecAuth();
  }

  async #plugin(): Promise<RequestOptions> {
    const { server, exec } = this.#config;
    const options: RequestOptions = { headers: {} };
    if (exec === undefined) return options;
    const info = {
      apiVersion: exec.apiVersion,
      kind: 'ExecCredential',
      spec: { cluster: { server }, interactive: false },
    };
    const env = [...(exec.env ?? []), { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }];
    const late = new AbortController();
    try {
      const timeout = this.#clock.sleep(PLUGIN_MS, late.signal).then(() => {
        throw new Error(`no answer within ${PLUGIN_MS / 1_000} s`);
      });
      const user = { name: 'user', exec: { ...exec, args: exec.args ?? [], env } };
      const answer = this.#exec.applyAuthentication(user, options);
      await Promise.race([answer, timeout]);
    } catch (cause) {
      const remedy = 'run it by hand and mend what it says';
      throw new HeadgateError('HG2005', `the credential plugin ${exec.command} failed`, { remedy, cause });
    } finally {
      late.abort();
    }
    return options;
  }
}

async function read(source: PemSource | undefined): Promise<string | undefined> {
  if (source === undefined || 'pem' in source) return source?.pem;
  try {
    return await readFile(source.file, 'utf8');
  } catch (cause) {
    const remedy = 'let this user read it';
    throw new HeadgateError('HG2003', `${source.file} cannot be read`, { remedy, cause });
  }
}
