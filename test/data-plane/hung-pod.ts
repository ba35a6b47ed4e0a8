import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { systemClock } from '../../lib/clock.ts';

export interface HungPod extends AsyncDisposable {
  readonly port: number;
  /** Ends the pod, so that its port is free. */
  end(): Promise<void>;
}

const program = `
const server = require('node:net').createServer();
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port));
`;

/** A pod that listens and answers nobody, not even with a refusal: its process is stopped and its backlog is full. */
export async function hungPod(): Promise<HungPod> {
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  child.kill('SIGSTOP');
  const waiting: Socket[] = [];
  for (let full = false; !full && waiting.length < 64;) {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    waiting.push(socket);
    full = await Promise.race([once(socket, 'connect').then(() => false), systemClock.sleep(200).then(() => true)]);
  }
  const end = async (): Promise<void> => {
    for (const socket of waiting) socket.destroy();
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return { port, end, [Symbol.asyncDispose]: end };
}
