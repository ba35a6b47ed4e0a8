import { join } from 'node:path';
import { MASTER_SOCKET } from '../../agent/haproxy/process/stop.ts';
import { askOnce } from '../../agent/haproxy/process/master.ts';

/**
 * `haproxy-alive DIR`: liveness of HAProxy's own container. Exits with 0 where the master of the folder and its present
 * worker both answer: one that hangs still accepts connections, so a probe of its ports would pass.
 */
const [folder = '/haproxy'] = process.argv.slice(2);

/** Below the probe's timeout of 10 s, which Node's own start is part of. */
const PATIENCE_MS = 5_000;

try {
  // The master passes it on; the worker answers.
  const said = await askOnce(join(folder, MASTER_SOCKET), '@1 show info', PATIENCE_MS);
  if (!/^Uptime_sec:/m.test(said)) throw new Error('the worker does not answer');
} catch (error) {
  process.stderr.write(`HAProxy does not answer: ${error instanceof Error ? error.message : 'unknown'}\n`);
  process.exitCode = 1;
}
