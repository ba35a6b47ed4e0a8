import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ResourceDelta } from '../../../lib/sync/index.ts';
import type { Listeners } from '../data-plane.ts';
import type { Change } from '../model/change.ts';
import type { Fixed } from '../model/desired.ts';
import { files, sockets } from '../model/names.ts';
import { combinedPem } from '../model/pem.ts';
import { Planner } from '../plan/planner.ts';
import { type Command, commandsFor, deleteServer } from '../render/commands.ts';
import { renderFiles } from '../render/files.ts';
import { poolNameOf } from '../render/reuse.ts';
import type { TestCa } from './certificates.fixture.ts';

export const haproxyBinary = process.env['HEADGATE_TEST_HAPROXY'] ?? 'haproxy';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface TestBackend extends AsyncDisposable {
  readonly port: number;
  readonly requests: { readonly url: string; readonly headers: IncomingHttpHeaders }[];
}

/** An HTTP server that answers with its name. */
export async function testBackend(name: string): Promise<TestBackend> {
  const requests: TestBackend['requests'] = [];
  const server = createServer((request, response) => {
    requests.push({ url: request.url ?? '', headers: request.headers });
    response.writeHead(200, { 'x-headgate-leak': '1', 'x-served-by': name }).end(name);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

let lastPort = 0;

/**
 * A port that nobody listens on. HAProxy listens with SO_REUSEPORT, so a port that two tests picked at the
 * same moment would be shared without an error: every process picks from ports of its own, below those that the kernel
 * gives out.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + (process.pid % 120) * 100 + (lastPort++ % 100);
    const server = createTcpServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Sends one request on a connection of its own. */
export async function fetchAnswer(
  options: RequestOptions & { readonly tls?: boolean; readonly port: number },
): Promise<Answer> {
  const { tls = false, ...rest } = options;
  const send = tls ? httpsRequest : httpRequest;
  const request = send({ host: '127.0.0.1', agent: false, rejectUnauthorized: false, ...rest });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

/** One HAProxy with what a planner wants of it, in a folder of its own. */
export class Rig implements AsyncDisposable {
  readonly planner: Planner;
  readonly fixed: Fixed;
  readonly folder: string;
  readonly #process: ChildProcess;
  #version = '';

  private constructor(planner: Planner, fixed: Fixed, folder: string, process: ChildProcess) {
    this.planner = planner;
    this.fixed = fixed;
    this.folder = folder;
    this.#process = process;
  }

  static async start(cluster: string, ca: TestCa, delta: ResourceDelta, flags: Partial<Listeners> = {}): Promise<Rig> {
    const none = new Map<string, number>();
    const gateway = await ca.leaf(`${cluster}.gateway.headgate`);
    const fallback = await ca.leaf('default.headgate.invalid');
    const planner = new Planner({
      cluster,
      assignments: { slots: 64, profiles: [], peerSlots: 4, backends: none, peers: none },
      tlsPassthrough: flags.tlsPassthrough ?? false,
      selfMadeCertificate: combinedPem(fallback.certificate, fallback.key),
    });
    const { rejections } = planner.apply(delta);
    if (rejections[0] !== undefined) throw new Error(rejections[0].message);
    const fixed: Fixed = {
      cluster,
      listeners: {
        http: `127.0.0.1:${await freePort()}`,
        https: `127.0.0.1:${await freePort()}`,
        gateway: `127.0.0.1:${await freePort()}`,
        proxyProtocol: false,
        tlsPassthrough: false,
        ...flags,
      },
      gatewayCertificate: combinedPem(gateway.certificate, gateway.key),
      gatewayCa: ca.certificate,
      defaultCertificate: combinedPem(fallback.certificate, fallback.key),
      threads: 1,
      cookieKey: 'k',
    };
    const folder = await mkdtemp(join(tmpdir(), 'headgate-rig-'));
    await mkdir(join(folder, 'run'));
    for (const [name, text] of renderFiles(planner.desired, fixed)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    const child = spawn(haproxyBinary, ['-db', '-f', files.configuration], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    const rig = new Rig(planner, fixed, folder, child);
    for (let tries = 0; ; tries++) {
      if (child.exitCode !== null) throw new Error(`HAProxy ended: ${errors}`);
      rig.#version = await rig.cli('show version').catch(() => '');
      if (rig.#version !== '') return rig;
      if (tries > 500) throw new Error(`HAProxy does not answer: ${errors}`);
      await sleep(10);
    }
  }

  get http(): number {
    return portOf(this.fixed.listeners.http);
  }

  get https(): number {
    return portOf(this.fixed.listeners.https);
  }

  get gateway(): number {
    return portOf(this.fixed.listeners.gateway);
  }

  /** A plain request; `host` is the Host header. */
  get(host: string, path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return fetchAnswer({ port: this.http, path, headers: { ...headers, host } });
  }

  /** Reply of one runtime command, trimmed. */
  async cli(text: string): Promise<string> {
    const socket = connect(join(this.folder, sockets.worker));
    await once(socket, 'connect');
    socket.end(`${text}\n`);
    let reply = '';
    for await (const chunk of socket) reply += String(chunk);
    return reply.trim();
  }

  /** Runs a command and checks its reply. */
  async run({ text, payload, accepts }: Command): Promise<void> {
    const reply = await this.cli(payload ? `${text}\n` : text);
    if (!accepts.test(reply)) throw new Error(`${text}: ${reply}`);
  }

  /** Brings a delta live by runtime commands alone. */
  async apply(delta: ResourceDelta): Promise<Change> {
    const change = this.planner.apply(delta);
    for (const { command } of commandsFor(change.ops, poolNameOf(this.#version))) await this.run(command);
    for (const { op } of change.ops) {
      if (op.kind === 'server-remove') await this.run(deleteServer(op.backend, op.server.name));
    }
    return change;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
    await rm(this.folder, { recursive: true, force: true });
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
