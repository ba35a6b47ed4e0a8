import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Rig } from '../../agent/haproxy/testing/rig.fixture.ts';
import type { TwoRigs, Way } from './two-rigs.fixture.ts';

const BLOCK = Buffer.alloc(1 << 16, 0x61);

export interface BodyPod extends AsyncDisposable {
  readonly port: number;
  /** Bytes of the last download that were taken from the pod so far. */
  readonly sent: number;
}

/** Counts what is uploaded, answers GET /SIZE with so many bytes, and never holds more than a block. */
export async function bodyPod(): Promise<BodyPod> {
  let sent = 0;
  const server = createServer((request, response) => {
    if (request.method === 'POST')
      count(request).then(
        (size) => response.end(String(size)),
        () => response.destroy(),
      );
    else {
      sent = 0;
      const size = Number(request.url?.slice(1));
      response.writeHead(200, { 'content-length': size });
      const more = (): void => {
        while (sent < size) {
          const part = BLOCK.subarray(0, Math.min(BLOCK.length, size - sent));
          sent += part.length;
          if (!response.write(part)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get sent() {
      return sent;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function count(stream: AsyncIterable<unknown>): Promise<number> {
  let size = 0;
  for await (const chunk of stream) size += (chunk as Buffer).length;
  return size;
}

/** @returns how many bytes the pod says it got. */
export async function upload({ eu }: TwoRigs, host: Way, size: number): Promise<number> {
  const request = httpRequest({ host: '127.0.0.1', port: eu.http, method: 'POST', agent: false, headers: { host } });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  for (let left = size; left > 0; left -= BLOCK.length) {
    if (!request.write(BLOCK.subarray(0, Math.min(left, BLOCK.length)))) await once(request, 'drain');
  }
  request.end();
  const [response] = await answered;
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return Number(text);
}

/** Begins a download. */
export async function download({ eu }: TwoRigs, host: Way, size: number): Promise<IncomingMessage> {
  const path = `/${String(size)}`;
  const request = httpRequest({ host: '127.0.0.1', port: eu.http, path, agent: false, headers: { host } });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

export { count as sizeOf };

/** MiB that a rig's HAProxy holds in memory. */
export async function memory(rig: Rig): Promise<number> {
  const pid = /^Pid: (\d+)$/m.exec(await rig.cli('show info'))?.[1];
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}
