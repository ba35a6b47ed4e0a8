import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, get, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { showProcesses } from '../../agent/haproxy/process/master.ts';
import { sendSignal } from '../../agent/haproxy/process/stop.ts';
import { freePort, haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';
import { until } from '../../agent/haproxy/testing/plane.fixture.ts';

const run = promisify(execFile);
const tool = (name: string) => join(import.meta.dirname, `${name}.ts`);
const isAlive = async (folder: string) =>
  await run(process.execPath, [tool('haproxy-alive'), folder]).then(
    () => true,
    () => false,
  );

/** HAProxy in the foreground, as it is the first process of its container. */
async function startHaproxy(folder: string, port: number, upstream: number) {
  const conf = `defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  server s 127.0.0.1:${upstream}
`;
  await writeFile(join(folder, 'conf'), conf);
  const child = spawn(haproxyBinary, ['-W', '-S', 'unix@master.sock,mode,600', '-f', 'conf'], {
    cwd: folder,
    stdio: 'ignore',
  });
  await until(async () => await isAlive(folder), Boolean);
  return child;
}

test('a hung worker is told from one that serves, and a drained one ends what is in flight first', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'headgate-image-'));
  const waiting = Promise.withResolvers<ServerResponse>();
  const upstream = createServer((_request, response) => waiting.resolve(response));
  await once(upstream.listen(0, '127.0.0.1'), 'listening');
  const port = await freePort();
  const haproxy = await startHaproxy(folder, port, (upstream.address() as AddressInfo).port);
  try {
    const { worker = 0 } = await showProcesses(join(folder, 'master.sock'));
    sendSignal(worker, 'SIGSTOP');
    expect(await isAlive(folder)).toBe(false);
    sendSignal(worker, 'SIGCONT');
    expect(await isAlive(folder)).toBe(true);

    const answer = once(get({ host: '127.0.0.1', port, agent: false }), 'response');
    const response = await waiting.promise;
    const exited = once(haproxy, 'exit');
    const drained = run(process.execPath, [tool('haproxy-drain'), folder, '0']);
    await until(async () => await refuses(port), Boolean);
    expect(haproxy.exitCode).toBe(null);
    response.end('done');
    expect((await answer)[0]).toMatchObject({ statusCode: 200 });
    await Promise.all([exited, drained]);
    expect(await isAlive(folder)).toBe(false);
  } finally {
    haproxy.kill('SIGKILL');
    upstream.closeAllConnections();
    upstream.close();
    await rm(folder, { recursive: true, force: true });
  }
});

async function refuses(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}
