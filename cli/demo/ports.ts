import { assertFree } from '../../lib/config/listen.ts';

/** Below the ports that Linux gives out by itself (from 32,768). */
const FIRST = 10_000;
const PER_PROCESS = 100;
const PROCESSES = 100;

let next = 0;

/**
 * A loopback address that nobody listens on, `127.0.0.1:PORT`. HAProxy listens with SO_REUSEPORT: two agents that
 * start at the same moment and find the same port free would share it without an error, and each get the other's
 * connections. So each of our processes hands out ports of its own, one after the other.
 */
export async function freeAddress(): Promise<string> {
  for (let tries = 0; tries < PER_PROCESS; tries++) {
    const port = FIRST + (process.pid % PROCESSES) * PER_PROCESS + (next++ % PER_PROCESS);
    const address = { host: '127.0.0.1', port };
    try {
      await assertFree(address, 'an agent');
      return `127.0.0.1:${port}`;
    } catch {
      continue;
    }
  }
  return '127.0.0.1:0';
}
