import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { keepAliveLoad, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { fetchAnswer, haproxyBinary, testBackend } from '../../agent/haproxy/testing/rig.fixture.ts';
import { openLedger } from '../../agent/ledger/open-ledger.ts';
import { endpointSlice, ingress, ingressClass, service } from '../../cli/demo/manifests.ts';
import { ProcessFleet } from '../../cli/demo/process-fleet.ts';
import { silentLog } from '../../lib/log.ts';
import { report } from './report.ts';
import { SmallDiskAgent } from './small-disk-agent.ts';

const ANY = '127.0.0.1:0';

it('promise-19 disk full: serving goes on, it is told, nothing is truncated, and it heals', async () => {
  const root = mkdtempSync(join(tmpdir(), 'hg-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(root, { recursive: true, force: true }));
  const upstream = stack.use(await testBackend('one'));
  const fleet = stack.use(await ProcessFleet.start(root));
  const folder = fleet.folder('eu');
  const site = (name: string): string =>
    [
      ingress('shop', name, `${name}.example`),
      service('shop', name),
      endpointSlice('shop', name, 'pod', upstream.port),
    ].join('---\n');
  folder.write('class.yaml', ingressClass);
  folder.write('first.yaml', site('first'));
  const token = join(root, 'eu.join');
  writeFileSync(token, await fleet.must(['cluster', 'add', 'eu', '-o', 'token']), { mode: 0o600 });
  const listeners = ['--listen-http', ANY, '--listen-https', ANY, '--listen-gateway', ANY, '--ops', ANY];
  const hub = ['--hub', String(fleet.hub.ready['grpc']), '--cluster', 'eu', '--source', `directory:${folder.path}`];
  const agent = stack.use(
    await SmallDiskAgent.start(
      '1m',
      join(root, 'eu'),
      [...hub, ...listeners, '--join', token, '--haproxy', haproxyBinary],
      join(root, 'eu.log'),
    ),
  );
  const http = Number(String(agent.ready['http']).split(':')[1]);
  const status = async (name: string): Promise<number> =>
    (await fetchAnswer({ port: http, headers: { host: `${name}.example` } })).status;
  await until(
    () => status('first'),
    (seen) => seen === 200,
  );

  const load = stack.use(keepAliveLoad(http, 'first.example'));
  agent.fill();
  // More than fits what is left of the ledger's last page.
  folder.write('second.yaml', Array.from({ length: 40 }, (_, i) => site(`second${i}`)).join('---\n'));
  const told = await until(
    () => agent.ops('/readyz?verbose'),
    ({ text }) => text.includes('the disk is full'),
  );
  expect(told.seen.status).toBe(200);
  expect((await agent.ops('/metrics')).text).toMatch(/^headgate_disk_writable 0$/m);
  // Every file is as it was: the ledger holds the first site, whole.
  cpSync(join(agent.data, 'ledger'), join(root, 'copy'), { recursive: true, filter: (path) => !path.endsWith('lock') });
  {
    const keyFile = join(agent.data, 'key');
    await using copy = await openLedger({ folder: join(root, 'copy'), keyFile, log: silentLog });
    expect(copy.loaded).toEqual({ from: 'current', problem: undefined });
    expect(copy.inventory.get('host', 'first.example')).toBeDefined();
  }
  expect(await status('first')).toBe(200);

  rmSync(join(agent.data, 'filler'));
  const healed = await until(
    () => status('second39'),
    (seen) => seen === 200,
    25_000,
  );
  await until(
    () => agent.ops('/readyz?verbose'),
    ({ text }) => !text.includes('full'),
  );
  expect((await agent.ops('/metrics')).text).toMatch(/^headgate_disk_writable 1$/m);
  await load.stop();
  expect(load.failures).toEqual([]);
  report('promise-19 disk full', { 'told after ms': told.ms, 'healed after ms': healed.ms, requests: load.requests });
});
