import { type ChildProcess, spawn } from 'node:child_process';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from '../../agent/haproxy/testing/rig.fixture.ts';
import { ended, listens, PlainHaproxy } from './plain-haproxy.ts';

export interface Upstream extends AsyncDisposable {
  readonly port: number;
  readonly program: 'nginx' | 'haproxy';
}

/** Whatever is quickest here at answering 200: nginx, else a second HAProxy. */
export async function startUpstream(): Promise<Upstream> {
  const nginx = await find('nginx');
  if (nginx !== undefined) return await Nginx.start(nginx);
  const haproxy = await PlainHaproxy.answer();
  return {
    port: haproxy.port,
    program: 'haproxy',
    [Symbol.asyncDispose]: async () => await haproxy[Symbol.asyncDispose](),
  };
}

class Nginx implements Upstream {
  readonly program = 'nginx';
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, child: ChildProcess, folder: string) {
    this.port = port;
    this.#child = child;
    this.#folder = folder;
  }

  static async start(program: string): Promise<Nginx> {
    const folder = await mkdtemp(join(tmpdir(), 'headgate-bench-'));
    const port = await freePort();
    const file = join(folder, 'nginx.conf');
    // One process in the foreground; connections kept longer than HAProxy keeps them idle.
    const lines = [
      'daemon off;',
      'master_process off;',
      `pid ${join(folder, 'nginx.pid')};`,
      'error_log stderr crit;',
      'events { worker_connections 20000; }',
      'http {',
      '  access_log off;',
      '  keepalive_timeout 120s;',
      '  keepalive_requests 1000000000;',
      ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (kind) => `  ${kind}_temp_path ${join(folder, kind)};`,
      ),
      `  server { listen 127.0.0.1:${port} backlog=4096; location / { return 200 "ok\\n"; } }`,
      '}',
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    const child = spawn(program, ['-p', folder, '-c', file, '-e', 'stderr'], { stdio: 'ignore' });
    await listens(port, child);
    return new Nginx(port, child, folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ended(this.#child);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function find(program: string): Promise<string | undefined> {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']) {
    const path = join(folder, program);
    const there = await access(path).then(
      () => true,
      () => false,
    );
    if (there) return path;
  }
  return undefined;
}
