import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { showProcesses } from '../../agent/haproxy/process/master.ts';
import { isAlive, MASTER_SOCKET, sendSignal } from '../../agent/haproxy/process/stop.ts';

/**
 * `haproxy-drain DIR SECONDS`: before HAProxy's container ends. Serves on for so long, since balancers learn only now
 * that the pod goes; then lets go of the listeners and waits until what is in flight has ended. The runtime's signal
 * after it, or `hard-stop-after` before, ends what lasts longer.
 */
const [folder = '/haproxy', seconds = '10'] = process.argv.slice(2);

await setTimeout(Number(seconds) * 1_000);
const { master } = await showProcesses(join(folder, MASTER_SOCKET));
sendSignal(master, 'SIGUSR1');
while (isAlive(master)) await setTimeout(100);
