import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../agent/haproxy/testing/rig.fixture.ts';
import { root, section } from './pages.ts';

/** The tour's own folder, and its ports; those that end in `$n` are one for each cluster. */
const FOLDER = '/tmp/headgate-tour';
const PORTS = ['7443', '7480', '7481', '9001', '9002', '8081', '8082', '8441', '8442', '7451', '7452', '7491', '7492'];
const DEADLINE_MS = 90_000;

/**
 * The tour of README.md, run as it stands by `sh` from the root, but for what would meet other programs: its
 * folder and every port are others, by substitution of text. It stops before the hub is killed until `finish`.
 */
export class Tour implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'hg-tour-'));
  readonly #ports = new Map<string, string>();
  readonly #output = join(this.folder, 'output');
  #shell: ChildProcess | undefined;

  static async start(): Promise<Tour> {
    const tour = new Tour();
    try {
      for (const port of PORTS) tour.#ports.set(port, String(await freePort()));
      tour.#copyManifests();
      const blocks = section('README.md', '## A tour').map(({ text }) => text);
      const last = blocks.pop() ?? '';
      const script = [
        ...blocks,
        `touch "${tour.#flag('stands')}"`,
        `until [ -e "${tour.#flag('go')}" ]; do sleep 0.05; done`,
        last,
      ];
      const output = openSync(tour.#output, 'w');
      // A group of its own, so that nothing is left behind where it fails half-way.
      tour.#shell = spawn('sh', ['-euc', tour.#substitute(script.join('\n'))], {
        cwd: root,
        env: { ...process.env, ...tour.#numbered() },
        stdio: ['ignore', output, output],
        detached: true,
      });
      closeSync(output);
      await tour.#until(() => existsSync(tour.#flag('stands')));
      return tour;
    } catch (thrown) {
      await tour[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** What the tour and everything that it started have printed, with the README's ports and folder. */
  get output(): string {
    return this.original(readFileSync(this.#output, 'utf8'));
  }

  /** Text with the README's ports and folder in place of the real ones. */
  original(text: string): string {
    let result = text.replaceAll(join(this.folder, 'tour'), FOLDER);
    for (const [port, real] of this.#ports) result = result.replaceAll(new RegExp(`\\b${real}\\b`, 'g'), port);
    return result;
  }

  read(file: string): string {
    return this.original(readFileSync(join(this.folder, 'tour', file), 'utf8'));
  }

  /** Runs `headgate` beside the tour, against its hub. @returns what it printed, whatever its exit code. */
  async headgate(args: readonly string[]): Promise<string> {
    const env = { ...process.env, HEADGATE_CONFIG: join(this.folder, 'tour/hub/admin.yaml') };
    return await new Promise((resolve) => {
      const real = args.map((arg) => arg.replaceAll(FOLDER, join(this.folder, 'tour')));
      execFile(join(root, 'bin/headgate'), real, { env, cwd: root, timeout: 20_000 }, (_error, stdout, stderr) => {
        resolve(this.original(`${stdout}${stderr}`));
      });
    });
  }

  /** Runs the rest of the tour. @returns its exit code. */
  async finish(): Promise<number | null> {
    const shell = this.#shell;
    if (shell === undefined) return null;
    const exited = once(shell, 'exit');
    writeFileSync(this.#flag('go'), '');
    await exited;
    return shell.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cluster of ['eu', 'us']) {
      const data = join(this.folder, 'tour', `${cluster}-data`);
      if (existsSync(data)) await this.headgate(['agent', 'stop', '--data', data]);
    }
    const pid = this.#shell?.pid;
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // Everything has ended by itself.
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #until(condition: () => boolean): Promise<void> {
    const end = performance.now() + DEADLINE_MS;
    while (!condition()) {
      if (this.#shell?.exitCode !== null || performance.now() > end) throw new Error(`the tour failed: ${this.output}`);
      await sleep(20);
    }
  }

  #flag(name: string): string {
    return join(this.folder, name);
  }

  /** The manifests name the ports of the pods. */
  #copyManifests(): void {
    for (const cluster of ['eu', 'us']) {
      const file = join('docs/tour', cluster, 'shop.yaml');
      mkdirSync(dirname(join(this.folder, file)), { recursive: true });
      writeFileSync(join(this.folder, file), this.#realPorts(readFileSync(join(root, file), 'utf8')));
    }
  }

  #substitute(script: string): string {
    const text = script
      .replaceAll('docs/tour', join(this.folder, 'docs/tour'))
      .replaceAll(FOLDER, join(this.folder, 'tour'))
      // The tour's hub has the default ports.
      .replace('headgate hub ', 'headgate hub --grpc 127.0.0.1:7443 --http 127.0.0.1:7480 --ops 127.0.0.1:7481 ')
      .replaceAll(/\b(808|844|745|749)\$n\b/g, '$(printenv "PORT_$1$n")');
    return this.#realPorts(text);
  }

  #realPorts(text: string): string {
    let result = text;
    for (const [port, real] of this.#ports) result = result.replaceAll(new RegExp(`\\b${port}\\b`, 'g'), real);
    return result;
  }

  #numbered(): Record<string, string> {
    return Object.fromEntries([...this.#ports].map(([port, real]) => [`PORT_${port}`, real]));
  }
}
