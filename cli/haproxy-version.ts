import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { HeadgateError } from '../lib/errors.ts';

export interface HaproxyVersion {
  /** As the binary says, for example 2.6.12-1+deb12u3. */
  readonly version: string;
  readonly major: number;
  readonly minor: number;
  /** Features it was built without that Headgate needs. */
  readonly lacks: readonly string[];
}

/** Build options that `haproxy -vv` lists with + or -. */
const needed = ['OPENSSL', 'THREAD'] as const;

/** Asks the binary itself. @throws HeadgateError HG5001 */
export async function haproxyVersion(path: string): Promise<HaproxyVersion> {
  let out: string;
  try {
    ({ stdout: out } = await promisify(execFile)(path, ['-vv'], { timeout: 5_000, env: { PATH: process.env['PATH'] } }));
  } catch (error) {
    throw new HeadgateError('HG5001', `HAProxy does not run as ${path}`, {
      remedy: 'install it (apt-get install haproxy) or give --haproxy PATH',
      cause: error,
    });
  }
  return parseVersion(out, path);
}

export function parseVersion(out: string, path: string): HaproxyVersion {
  const match = /^HAProxy version ((\d+)\.(\d+)\S*)/m.exec(out);
  if (match?.[1] === undefined) {
    throw new HeadgateError('HG5001', `${path} is not HAProxy 2.6 or later`, { remedy: 'give --haproxy PATH' });
  }
  return {
    version: match[1],
    major: Number(match[2]),
    minor: Number(match[3]),
    lacks: needed.filter((feature) => !new RegExp(`\\+${feature}\\b`).test(out)),
  };
}

/** What an older version cannot do or does worse than 3.2; measured, one sentence each. */
export function limits({ major, minor }: Pick<HaproxyVersion, 'major' | 'minor'>): readonly string[] {
  if (major > 2) return [];
  const old = `HAProxy ${major}.${minor}`;
  return [
    `${old} searches a whole map to change an entry: changes are slow above some 10,000 hosts`,
    `${old} starts its own counters at 0 after a reload`,
    `${old} loads certificates at a fifth of the speed of 3.0`,
  ];
}
