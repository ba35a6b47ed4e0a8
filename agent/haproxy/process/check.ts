import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { HeadgateError } from '../../../lib/errors.ts';
import { alerts } from './words.ts';

/** Milliseconds, and MiB of address space for what HAProxy allocates. */
const TIMEOUT = 60_000;
const MEMORY = 2_048;

/**
 * Has HAProxy read a configuration, with an empty environment and with time and memory capped.
 *
 * @param binary absolute path
 * @param folder where the configuration's relative names begin
 * @throws HG5002 with HAProxy's words where it is not valid.
 */
export async function checkConfiguration(binary: string, folder: string, configuration: string): Promise<void> {
  try {
    await promisify(execFile)(binary, ['-c', '-m', String(MEMORY), '-f', configuration], {
      cwd: folder,
      env: {},
      timeout: TIMEOUT,
      killSignal: 'SIGKILL',
    });
  } catch (error) {
    const words = error instanceof Error && 'stderr' in error ? alerts(String(error.stderr)) : '';
    throw new HeadgateError('HG5002', `HAProxy refuses the configuration: ${words === '' ? String(error) : words}`, {
      cause: error,
    });
  }
}
