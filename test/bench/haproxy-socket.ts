import { once } from 'node:events';
import { connect } from 'node:net';

/** Reply to one command on a worker's or master's socket. */
export async function ask(socketPath: string, command: string): Promise<string> {
  const socket = connect(socketPath);
  await once(socket, 'connect');
  socket.end(`${command}\n`);
  let reply = '';
  for await (const chunk of socket) reply += String(chunk);
  return reply;
}

export interface Connections {
  /** Opened towards servers. */
  readonly opened: number;
  /** Requests that went over an open one. */
  readonly reused: number;
}

/** Sums over every backend of `show stat`, since the worker began. */
export async function connections(socketPath: string): Promise<Connections> {
  const [header = '', ...lines] = (await ask(socketPath, 'show stat')).split('\n');
  const columns = header.replace(/^# /, '').split(',');
  const [kind, opened, reused] = ['svname', 'connect', 'reuse'].map((name) => columns.indexOf(name));
  const sum = { opened: 0, reused: 0 };
  for (const line of lines) {
    const fields = line.split(',');
    if (fields[kind ?? -1] !== 'BACKEND') continue;
    sum.opened += Number(fields[opened ?? -1]);
    sum.reused += Number(fields[reused ?? -1]);
  }
  return sum;
}
