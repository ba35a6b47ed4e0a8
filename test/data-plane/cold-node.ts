import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { once } from 'node:events';
import { testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { service } from '../../agent/haproxy/testing/plane.fixture.ts';
import { certificate } from '../../agent/haproxy/testing/resources.fixture.ts';
import { fetchAnswer, haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';
import { openLedger } from '../../agent/ledger/open-ledger.ts';
import { ProcessFleet } from '../../cli/demo/process-fleet.ts';
import { HEADGATE, headgate, Program } from '../../cli/demo/processes.ts';
import { silentLog } from '../../lib/log.ts';
import type { Resource } from '../../lib/sync/index.ts';

const ANY = '127.0.0.1:0';

/** Routes, each with a service, an endpoint and a certificate of its own. */
export async function siteResources(count: number, port: number): Promise<Resource[]> {
  const ca = await testCa();
  const sites = Array.from({ length: count }, async (_, i) => {
    const name = `site${i}`;
    const leaf = await ca.leaf(`${name}.example`);
    return [...service(name, [port]), certificate(`shop/${name}`, [`${name}.example`], leaf)];
  });
  return (await Promise.all(sites)).flat();
}

/**
 * The data folder of a node that has an identity and nobody to talk to: the hub that gave it is gone, and so is the
 * cluster agent.
 */
export class ColdNode implements AsyncDisposable {
  readonly data: string;
  readonly ledger: string;
  readonly #root: string;
  readonly #hub: string;
  agent: Program | undefined;

  private constructor(root: string, data: string, hub: string) {
    this.#root = root;
    this.data = data;
    this.ledger = join(data, 'ledger');
    this.#hub = hub;
  }

  /** @param root folder to make it in. */
  static async make(root = tmpdir()): Promise<ColdNode> {
    const folder = mkdtempSync(join(root, 'hg-'));
    await using fleet = await ProcessFleet.start(folder);
    const source = join(folder, 'manifests');
    mkdirSync(source);
    const joining = async (role: 'cluster' | 'node'): Promise<string[]> => {
      const file = join(folder, `${role}.join`);
      const token = await fleet.must(['cluster', 'add', 'eu', '--role', role, '-o', 'token']);
      writeFileSync(file, token, { mode: 0o600 });
      return ['agent', '--cluster', 'eu', '--roles', role, '--ops', ANY, '--join', file];
    };
    const hub = String(fleet.hub.ready['grpc']);
    const apart = ['--hub', hub, '--source', `directory:${source}`, '--listen-nodes', ANY];
    const cluster = await Program.start(
      [...(await joining('cluster')), ...apart, '--data', join(folder, 'cluster')],
      join(folder, 'cluster.log'),
    );
    const node = new ColdNode(folder, join(folder, 'node'), String(cluster.ready['nodes']));
    try {
      await node.#start(await joining('node'));
    } finally {
      await node.stop();
      await cluster.end();
    }
    return node;
  }

  /** Writes the ledger as an agent would have. Twice, so that there is a previous generation with the same. */
  async keep(upserts: readonly Resource[], revision = 1n): Promise<void> {
    await using ledger = await openLedger({ folder: this.ledger, keyFile: join(this.data, 'key'), log: silentLog });
    await ledger.commit({
      epoch: ledger.held()?.epoch ?? { counter: 1n, id: 'test' },
      revision: (ledger.held()?.revision ?? 0n) + revision,
      endOfSnapshot: true,
      upserts,
      removals: [],
    });
  }

  /** Starts the node agent. @param within a command that becomes the agent in the end. @returns milliseconds until it was ready, HAProxy included. */
  async start(within: readonly string[] = []): Promise<number> {
    const began = performance.now();
    await this.#start(['agent', '--cluster', 'eu', '--roles', 'node', '--ops', ANY], within);
    return performance.now() - began;
  }

  async #start(flags: readonly string[], within: readonly string[] = []): Promise<void> {
    const listeners = ['http', 'https', 'gateway'].flatMap((name) => [`--listen-${name}`, ANY]);
    const own = ['--hub', this.#hub, '--data', this.data, '--haproxy', haproxyBinary];
    const [command = HEADGATE, ...words] = within.length === 0 ? [] : [...within, HEADGATE];
    this.agent = await Program.start([...words, ...flags, ...listeners, ...own], join(this.#root, 'node.log'), command);
  }

  async status(host: string): Promise<number> {
    return (await fetchAnswer({ port: this.#port('http'), headers: { host } })).status;
  }

  /** The common name of the certificate that a client gets. */
  async certificate(servername: string): Promise<string> {
    const socket = connect({ host: '127.0.0.1', port: this.#port('https'), servername, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return String(CN);
  }

  async ops(path: string): Promise<string> {
    return await (await fetch(`http://${String(this.agent?.ready['ops'])}${path}`)).text();
  }

  /** Ends agent and HAProxy, as a power cut would. */
  async stop(): Promise<void> {
    await headgate(['agent', 'stop', '--data', this.data]);
    await this.agent?.end('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#root, { recursive: true, force: true });
  }

  #port(name: string): number {
    const address = String(this.agent?.ready[name]);
    return Number(address.slice(address.lastIndexOf(':') + 1));
  }
}
