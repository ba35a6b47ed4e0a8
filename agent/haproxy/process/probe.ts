import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { HeadgateError } from '../../../lib/errors.ts';

/** What the binary says it can do. */
export interface HaproxyBuild {
  /** Absolute, so that it works with an empty environment. */
  readonly path: string;
  /** As it calls itself, for example `2.6.12-1+deb12u4`. */
  readonly version: string;
  readonly major: number;
  readonly minor: number;
  readonly features: ReadonlySet<string>;
}

const OLDEST: readonly [number, number] = [2, 6];
const remedy =
  'install HAProxy 2.6 or later with OpenSSL and the Prometheus exporter (Debian, Ubuntu: apt-get install haproxy), or name another binary with --haproxy';

/** @throws HG5001 where the binary is missing, too old or built without what we need. */
export async function probeHaproxy(binary: string): Promise<HaproxyBuild> {
  const path = await locate(binary);
  let output: string;
  try {
    output = (await promisify(execFile)(path, ['-vv'], { env: {}, timeout: 10_000 })).stdout;
  } catch (error) {
    throw new HeadgateError('HG5001', `${path} -vv does not run: ${String(error)}`, { remedy, cause: error });
  }
  return parseBuild(path, output);
}

/** Reads the output of `haproxy -vv`. */
export function parseBuild(path: string, output: string): HaproxyBuild {
  const [, version, major, minor] = /^HA-?Proxy version ((\d+)\.(\d+)\S*)/m.exec(output) ?? [];
  if (version === undefined) throw new HeadgateError('HG5001', `${path} is not HAProxy`, { remedy });
  const features = new Set(
    [...(/^Feature list : (.*)$/m.exec(output)?.[1] ?? '').matchAll(/\+(\S+)/g)].map((m) => String(m[1])),
  );
  const build = { path, version, major: Number(major), minor: Number(minor), features };
  if (build.major < OLDEST[0] || (build.major === OLDEST[0] && build.minor < OLDEST[1])) {
    throw new HeadgateError('HG5001', `HAProxy ${version} at ${path} is too old`, { remedy });
  }
  for (const needed of ['OPENSSL', 'PROMEX']) {
    if (!features.has(needed)) {
      throw new HeadgateError('HG5001', `HAProxy ${version} at ${path} is built without ${needed}`, { remedy });
    }
  }
  return build;
}

/** Whether changing a key of a map takes as long as the map is. Measured so on 2.6, and not on 3.0 and 3.2. */
export function hasSlowMaps(version: string): boolean {
  return Number.parseInt(version, 10) < 3;
}

/**
 * Whether a CA can be changed at runtime without harm. Before 3.2.8 HAProxy forgets who uses a certificate beside a CA
 * when that changes: a certificate that is set later reaches nobody, and the next change of the CA may crash it (its
 * changelog: "dangling ckch_store reference"). Seen so on 2.6.12 and 3.0.11, and not on 3.2.26; which releases of
 * older branches have the correction is not told.
 */
export function takesCas(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = /^(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [];
  return major > 3 || (major === 3 && (minor > 2 || (minor === 2 && patch >= 8)));
}

/** The first executable of that name on PATH, as a shell would find it. */
async function locate(binary: string): Promise<string> {
  const places =
    isAbsolute(binary) || binary.includes('/')
      ? [resolve(binary)]
      : // Not every user's PATH holds the folders that distributions put daemons into.
        [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'].map((folder) =>
          join(folder, binary),
        );
  for (const place of places) {
    try {
      await access(place, constants.X_OK);
      return place;
    } catch {
      continue;
    }
  }
  throw new HeadgateError('HG5001', `HAProxy is not there: ${binary}`, { remedy });
}
