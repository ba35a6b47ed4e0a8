import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect } from 'vitest';

import { HEADGATE, type Finished } from '../../cli/demo/processes.ts';

/** Longer than any refusal takes; a program that serves instead is ended, and its code is then no refusal's. */
const PATIENCE_MS = 20_000;

export const ANY = '127.0.0.1:0';
export const HUB_PORTS = ['--grpc', ANY, '--http', ANY, '--ops', ANY];
const TRAFFIC = ['--listen-http', ANY, '--listen-https', ANY, '--listen-gateway', ANY];
export const AGENT_PORTS = [...TRAFFIC, '--ops', ANY];

export interface Around {
  readonly env?: Readonly<Record<string, string>>;
  /** A shell command, for example a mount, that only this program and its children feel; see `canMount`. */
  readonly before?: string;
}

/** Runs a command line to its end. */
export async function run(args: readonly string[], { env, before }: Around = {}): Promise<Finished> {
  const [file, ...rest] = before === undefined ? ([HEADGATE, ...args] as const) : inside(before, [HEADGATE, ...args]);
  return await new Promise((resolve) => {
    const options = { timeout: PATIENCE_MS, env: { ...process.env, ...env } };
    const child = execFile(file, rest, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
    child.stdin?.end();
  });
}

/** A command line that runs `command` after `before` in a mount namespace of its own. */
export function inside(before: string, command: readonly string[]): readonly [file: string, ...args: string[]] {
  const [file = '', ...flags] = UNSHARE;
  return [file, ...flags, 'sh', '-c', `${before} && exec "$@"`, 'sh', ...command];
}

const UNSHARE = ['unshare', ...(process.getuid?.() === 0 ? ['-m'] : ['-r', '-m'])];

/** Whether this user may mount in a namespace of its own: not everywhere in containers, and on Linux alone. */
export const canMount =
  spawnSync(UNSHARE[0] ?? '', [...UNSHARE.slice(1), 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

export const readOnly = (folder: string): string =>
  `mount --bind '${folder}' '${folder}' && mount -o remount,ro,bind '${folder}'`;
export const sized = (folder: string, size: string): string => `mount -t tmpfs -o size=${size} none '${folder}'`;

/** Nothing on standard output, and one line on standard error: code, what and why, how to mend. */
export function expectRefusal(finished: Finished, code: 1 | 2, error: string, ...words: string[]): void {
  const stderr = expect.stringMatching(/^HG\d{4} [^\n]+; [^\n]+\n$/) as string;
  expect(finished).toEqual({ code, stdout: '', stderr });
  for (const word of [error, ...words]) expect(finished.stderr).toContain(word);
}

/** A port that somebody else listens on. */
export async function takenPort(): Promise<Disposable & { readonly address: string }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return { address: `127.0.0.1:${port}`, [Symbol.dispose]: () => server.close() };
}
