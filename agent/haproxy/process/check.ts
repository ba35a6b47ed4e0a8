import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { HeadgateError } from '../../../lib/errors.ts';
import { files } from '../model/names.ts';
import { memoryRoot } from './memory-folder.ts';
import { alerts } from './words.ts';

/** Seconds, by the clock and of CPU. */
const TIME = 60;
/** KiB of address space. HAProxy's own `-m` is not in force yet while it only checks (2.6, 3.0 and 3.2). */
const MEMORY = 2 << 20;

/** Loads the certificates of a folder and nothing else: no word of it is a tenant's. */
const CERTIFICATES = `frontend certificates\n  bind unix@run/certificates.sock ssl crt-list ${files.crtList}\n`;

/**
 * What HAProxy is to judge a configuration by: every private key is left out, and in the place of each certificate
 * stands one that is nobody's. Whether a certificate can be used is for the worker that it is given to.
 *
 * @param placeholder leaf and key that nobody trusts, PEM
 */
export function withoutKeys(all: ReadonlyMap<string, string>, placeholder: string): Map<string, string> {
  const shown = [...all].filter(([, text]) => !text.includes('PRIVATE KEY-----'));
  return new Map([
    ...shown,
    [files.crtList, (all.get(files.crtList) ?? '').replaceAll(/^\S+/gm, files.defaultCertificate)],
    [files.defaultCertificate, placeholder],
    [files.gatewayCertificate, placeholder],
  ]);
}

/**
 * Has HAProxy read a configuration, in a folder of its own.
 *
 * @param binary absolute path
 * @param folder where that one is made if no memory is there to make it in
 * @throws HG5002 with HAProxy's words where it is not valid.
 */
export async function checkConfiguration(
  binary: string,
  folder: string,
  configuration: ReadonlyMap<string, string>,
): Promise<void> {
  await inPlace(folder, configuration, async (place) => await check(binary, place, files.configuration));
}

/**
 * Has HAProxy load the certificates that lie in a folder.
 *
 * @throws HG5002 with HAProxy's words, which name the file, where it cannot.
 */
export async function checkCertificates(binary: string, folder: string): Promise<void> {
  const only = new Map([[files.base, CERTIFICATES]]);
  await inPlace(folder, only, async (place) => await check(binary, folder, join(place, files.configuration)));
}

/** Writes files into a folder of their own, for as long as the job takes. */
async function inPlace(
  folder: string,
  written: ReadonlyMap<string, string>,
  job: (place: string) => Promise<void>,
): Promise<void> {
  const place = await mkdtemp(join((await memoryRoot()) ?? folder, 'headgate-check-'));
  try {
    for (const name of new Set(['run/-', ...written.keys()].map((one) => dirname(one)))) {
      await mkdir(join(place, name), { recursive: true });
    }
    await Promise.all([...written].map(([name, text]) => writeFile(join(place, name), text, { mode: 0o600 })));
    await job(place);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** With an empty environment, and with time and memory capped. */
async function check(binary: string, folder: string, configuration: string): Promise<void> {
  const capped = `ulimit -v ${MEMORY}; ulimit -t ${TIME}; exec "$@"`;
  try {
    await promisify(execFile)('/bin/sh', ['-c', capped, 'sh', binary, '-c', '-f', configuration], {
      cwd: folder,
      env: {},
      timeout: TIME * 1_000,
      killSignal: 'SIGKILL',
    });
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const words = 'stderr' in error ? alerts(String(error.stderr)) : '';
    const ended = 'signal' in error && typeof error.signal === 'string' ? `its check was ended by ${error.signal}` : '';
    throw new HeadgateError('HG5002', `HAProxy refuses the configuration: ${words || ended || error.message}`, {
      cause: error,
    });
  }
}
