import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fetchAnswer, freePort, haproxyBinary } from '../../testing/rig.fixture.ts';
import { clientBehindHops, hopAcl } from './trusted-hops.ts';

const ranges = ['127.0.0.0/8', '10.0.0.0/8', 'fd00::/8', ...Array.from({ length: 90 }, (_, i) => `172.16.${i}.0/24`)];
let folder: string;
let haproxy: ChildProcess;
let port: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headgate-hops-'));
  port = await freePort();
  const rules = [
    ...hopAcl(ranges),
    ...clientBehindHops,
    'http-request return status 200 content-type text/plain lf-string "%[src] %ci"',
  ];
  const lines = ['defaults', 'mode http', 'timeout client 5s', 'frontend f', `bind 127.0.0.1:${port}`, ...rules];
  await writeFile(join(folder, 'h.cfg'), `${lines.join('\n')}\n`);
  haproxy = spawn(haproxyBinary, ['-db', '-f', 'h.cfg'], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  while ((await client([]).catch(() => undefined)) === undefined) {
    if (haproxy.exitCode !== null) throw new Error('HAProxy ended');
  }
});

afterAll(async () => {
  const ended = once(haproxy, 'exit');
  haproxy.kill('SIGKILL');
  await ended;
  await rm(folder, { recursive: true, force: true });
});

/** What `src` is, and what logs say, behind a hop that sends these lines. */
async function client(chain: readonly string[]): Promise<string> {
  return (await fetchAnswer({ port, headers: { 'x-forwarded-for': [...chain] } })).body;
}

test.each([
  ['none told', [], '127.0.0.1'],
  ['one', ['192.0.2.1'], '192.0.2.1'],
  ['the right-most that is no hop', ['6.6.6.6, 192.0.2.1, 10.1.1.1'], '192.0.2.1'],
  ['hops over IPv6', ['6.6.6.6, 2001:db8::1, fd00::7, 10.1.1.1'], '2001:db8::1'],
  ['over several lines', ['6.6.6.6', '192.0.2.1', '10.1.1.1'], '192.0.2.1'],
  ['in the last of many ranges', ['192.0.2.1, 172.16.89.1'], '192.0.2.1'],
  ['IPv4 written as IPv6 is the same hop', ['192.0.2.1, ::ffff:10.1.1.1'], '192.0.2.1'],
  ['with a port', ['192.0.2.1:5555'], '192.0.2.1'],
  ['IPv6 with a port', ['6.6.6.6, [2001:db8::1]:5555, [fd00::7]:99, 10.1.1.1'], '2001:db8::1'],
  ['IPv6 in brackets', ['[2001:db8::1]'], '2001:db8::1'],
  ['brackets round no address', ['6.6.6.6, [x]:5555'], '127.0.0.1'],
  ['an address in brackets behind text', ['6.6.6.6, x[2001:db8::1]'], '127.0.0.1'],
  ['hops alone', ['10.0.0.1, 10.0.0.2'], '10.0.0.1'],
  ['no address', ['6.6.6.6, unknown'], '127.0.0.1'],
  ['no address behind a hop', ['6.6.6.6, unknown, 10.0.0.9'], '10.0.0.9'],
  ['quoted', ['6.6.6.6, "192.0.2.1"'], '127.0.0.1'],
  ['nothing behind the comma', ['6.6.6.6,'], '127.0.0.1'],
  ['more hops than are looked at', [`6.6.6.6${', 10.0.0.5'.repeat(9)}`], '10.0.0.5'],
])('the client’s address: %s', async (_, chain, address) => {
  expect(await client(chain)).toBe(`${address} ${address}`);
});
