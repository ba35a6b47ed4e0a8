import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { haproxyPids } from '../../cli/demo/process-fleet.ts';
import { eventually, OneCluster } from '../ingress/one-cluster.ts';
import { printable } from '../../lib/printable.ts';
import { ingress, ingressClass, served } from '../ingress/objects.ts';
import { figure } from './figure.ts';
import { DEFAULT_CERTIFICATE, hostileManifests } from './hostile-manifests.ts';
import { MARK, randomFrom } from './hostile-text.ts';
import { exchangeBytes } from './raw-client.ts';
import { faultsOfFiles } from './rendered.ts';

const OBJECTS = 400;

/** HAProxy's files by name, without its sockets, its state and what is fixed. */
function filesIn(folder: string): Map<string, string> {
  return new Map(
    ['conf', 'maps', 'certs'].flatMap((part) =>
      readdirSync(join(folder, part)).map((name): [string, string] => [
        `${part}/${name}`,
        readFileSync(join(folder, part, name), 'utf8'),
      ]),
    ),
  );
}

async function frontends(folder: string): Promise<string[]> {
  const socket = connect(join(folder, 'run', 'worker.sock'));
  socket.end('show stat\n');
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  const rows = text.split('\n').map((line) => line.split(','));
  const status = rows[0]?.indexOf('status') ?? 0;
  return rows.filter((row) => row[1] === 'FRONTEND').map((row) => `${row[0]} ${row[status]}`);
}

test(`promise-11: ${OBJECTS} hostile objects in a running agent change nothing but themselves`, async () => {
  const secret = `secret-${randomUUID()}`;
  process.env['HEADGATE_TEST_SECRET'] = secret;
  await using cluster = await OneCluster.start(
    ['healthy'],
    (pod) => ({
      // With no class object at all, the first one of any name would take the Ingresses of this one away.
      class: [ingressClass('headgate')],
      healthy: [
        ...served('healthy', pod('healthy')),
        ingress('healthy', { rules: [{ host: 'healthy.example', paths: [{ path: '/', to: 'healthy' }] }] }),
      ],
    }),
    ['--tls-passthrough', '--default-certificate', DEFAULT_CERTIFICATE],
  );
  delete process.env['HEADGATE_TEST_SECRET'];
  const { data } = cluster.fleet.cluster('eu');
  const folder = join(data, 'haproxy');
  await cluster.serves('healthy.example', '/', 'healthy');
  const before = await frontends(folder);
  const [plain, reloads] = [filesIn(folder), await cluster.reloads()];
  const [master] = haproxyPids(data);

  const leaf = await (await testCa()).leaf(`${MARK}.example`, ['*.example']);
  const answers: string[] = [];
  let asked = 0;
  for (let i = 0; i < OBJECTS / 40; i++) {
    const objects = hostileManifests(randomFrom(110 + i), 40, leaf, cluster.pod('healthy').port);
    cluster.write(`hostile${i}`, ...(objects as Record<string, unknown>[]));
    cluster.write(
      `fresh${i}`,
      ingress(`fresh${i}`, { rules: [{ host: `fresh${i}.example`, paths: [{ path: '/', to: 'healthy' }] }] }),
    );
    await eventually(`fresh${i}`, async () => {
      asked++;
      expect(await cluster.who('healthy.example')).toBe('healthy');
      return (await cluster.who(`fresh${i}.example`)) === 'healthy';
    });
    for (const host of [
      `${MARK}-h${i}.example`,
      `${MARK}.example`,
      '%[env(HEADGATE_TEST_SECRET)]',
      '${HEADGATE_TEST_SECRET}',
    ]) {
      answers.push(
        await exchangeBytes(
          cluster.http,
          `GET /%[env(HEADGATE_TEST_SECRET)] HTTP/1.1\r\nHost: ${host}\r\nX: %[file(/etc/passwd)]\r\nConnection: close\r\n\r\n`,
        ),
      );
    }
  }
  await eventually('settings that only a file holds are loaded', async () => {
    asked++;
    expect(await cluster.who('healthy.example')).toBe('healthy');
    return [...filesIn(folder).keys()].some((name) => name.startsWith('conf/50-slots-') && !plain.has(name));
  });
  await eventually('HAProxy has been reloaded', async () => (await cluster.reloads()) > reloads);
  await eventually('the frontends are those that were', async () => {
    return JSON.stringify(await frontends(folder).catch(() => [])) === JSON.stringify(before);
  });
  const events = await cluster.events();
  const files = filesIn(folder);
  const pids = haproxyPids(data);
  expect(pids[0]).toBe(master);
  for (const pid of pids) expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain(secret);
  expect(faultsOfFiles(files, plain)).toEqual([]);
  const logs = ['eu', 'hub'].map((name) => readFileSync(join(cluster.fleet.data, 'logs', `${name}.log`), 'utf8'));
  const lines = logs.flatMap((log) => log.split('\n').filter((line) => line !== ''));
  for (const line of lines)
    expect(JSON.parse(line)).toMatchObject({ level: expect.any(String), msg: expect.any(String) });
  for (const text of [...answers, ...files.values(), ...logs, JSON.stringify(events)]) {
    expect(text).not.toContain(secret);
    expect(text).not.toMatch(/^root:.*:0:0:/m);
  }
  for (const { message } of events) expect(printable(message)).toBe(message);
  expect(events.length).toBeGreaterThan(50);
  figure(
    `promise-11: ${OBJECTS} hostile objects, ${events.length} told of, ${asked} requests to the healthy host, ` +
      `${lines.length} log lines, ${before.length} frontends as before, 0 escapes`,
  );
}, 60_000);
