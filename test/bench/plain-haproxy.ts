import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';
import { ask } from './haproxy-socket.ts';

const MAP = 'hosts.map';

/** What a plain HAProxy has in common with a rendered one: everything but the rules. */
const common = (folder: string): string[] => [
  'global',
  `  stats socket unix@${join(folder, 'worker.sock')} mode 600 level admin`,
  '  nbthread 1',
  // As in a rendered one.
  '  tune.pattern.cache-size 0',
  'defaults',
  '  mode http',
  '  balance roundrobin',
  '  option idle-close-on-response',
  '  option dontlognull',
  '  timeout connect 2s',
  '  timeout client 60s',
  '  timeout server 60s',
  '  timeout http-request 10s',
  '  timeout http-keep-alive 30s',
];

/** One HAProxy of one thread, with a hand-written section. */
export class PlainHaproxy implements AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, child: ChildProcess, folder: string) {
    this.port = port;
    this.pid = child.pid ?? 0;
    this.#child = child;
    this.#folder = folder;
  }

  /**
   * Proxies all to one upstream: the reference that routing is measured against.
   *
   * @param servers that the upstream is given as. Each has connections of its own, which costs by itself.
   */
  static async proxy(upstream: number, servers = 1): Promise<PlainHaproxy> {
    const lines = Array.from({ length: servers }, (_, i) => `  server s${i} 127.0.0.1:${upstream}`);
    return await PlainHaproxy.#start(['  default_backend all', 'backend all', ...lines]);
  }

  /** Answers everything by itself, where there is no nginx. */
  static async answer(): Promise<PlainHaproxy> {
    return await PlainHaproxy.#start(['  http-request return status 200 content-type text/plain string ok']);
  }

  /** Answers 200 to hosts that are in its map, 404 to others. The map is empty at first. */
  static async mapped(): Promise<PlainHaproxy> {
    return await PlainHaproxy.#start([
      `  http-request return status 200 content-type text/plain string ok if { req.hdr(host),map_str(${MAP}) -m found }`,
      '  http-request return status 404',
    ]);
  }

  /**
   * One backend per service, with so many server lines, of which the first are in use and the others wait: without
   * checks, each of which would want a file descriptor beside its memory.
   */
  static async slots(services: number, used: number, slots: number): Promise<PlainHaproxy> {
    const servers = Array.from({ length: slots }, (_, i) =>
      i < used ? `  server s${i} 127.0.0.${i + 1}:8080 check inter 1h` : `  server s${i} 127.0.0.1:8080 disabled`,
    );
    const backends = Array.from({ length: services }, (_, i) => [`backend b${i}`, ...servers]);
    return await PlainHaproxy.#start(['  http-request return status 404', ...backends.flat()]);
  }

  /**
   * Runs these files in a folder of its own.
   * @param configuration what `-f` is given. @param sections of `haproxy.cfg` behind the common ones, where it is that.
   */
  static async of(
    port: number,
    configuration: string,
    files: ReadonlyMap<string, string>,
    sections: readonly string[] = [],
  ): Promise<PlainHaproxy> {
    const folder = await mkdtemp(join(tmpdir(), 'hb-'));
    await mkdir(join(folder, 'run'));
    for (const [name, text] of files) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    if (sections.length > 0)
      await writeFile(join(folder, configuration), [...common(folder), ...sections, ''].join('\n'));
    const child = spawn(haproxyBinary, ['-db', '-f', configuration], { cwd: folder, stdio: 'ignore' });
    const haproxy = new PlainHaproxy(port, child, folder);
    await listens(port, child);
    return haproxy;
  }

  static async #start(rules: readonly string[]): Promise<PlainHaproxy> {
    const folder = await mkdtemp(join(tmpdir(), 'headgate-bench-'));
    const port = await freePort();
    const file = join(folder, 'haproxy.cfg');
    await writeFile(join(folder, MAP), '');
    await writeFile(file, [...common(folder), 'frontend in', `  bind 127.0.0.1:${port}`, ...rules, ''].join('\n'));
    const child = spawn(haproxyBinary, ['-db', '-f', file], { cwd: folder, stdio: 'ignore' });
    const haproxy = new PlainHaproxy(port, child, folder);
    await listens(port, child);
    return haproxy;
  }

  get socket(): string {
    return join(this.#folder, 'worker.sock');
  }

  async addHost(host: string): Promise<void> {
    await ask(this.socket, `add map ${MAP} ${host} 1`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ended(this.#child);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Resolves when the port takes connections; rejects when the process ends before. */
export async function listens(port: number, child: ChildProcess): Promise<void> {
  for (let tries = 0; ; tries++) {
    if (child.exitCode !== null || tries > 500) throw new Error(`${child.spawnfile} does not listen`);
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await sleep(10);
    } finally {
      socket.destroy();
    }
  }
}

export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}
