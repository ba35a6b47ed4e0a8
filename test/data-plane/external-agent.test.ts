import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { fetchAnswer, freePort, haproxyBinary, testBackend } from '../../agent/haproxy/testing/rig.fixture.ts';
import { endpointSlice, ingress, ingressClass, service } from '../../cli/demo/manifests.ts';
import { ProcessFleet } from '../../cli/demo/process-fleet.ts';
import { headgate, Program } from '../../cli/demo/processes.ts';
import { HaproxyContainer } from './haproxy-container.ts';

it('agent render, HAProxy in a container of its own, then its agent: enrols, serves, and both may start again', async () => {
  const root = mkdtempSync(join(tmpdir(), 'hg-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(root, { recursive: true, force: true }));
  const upstream = stack.use(await testBackend('one'));
  const fleet = stack.use(await ProcessFleet.start(root));
  const folder = fleet.folder('eu');
  folder.write('class.yaml', ingressClass);
  const site = [
    ingress('shop', 'first', 'first.example'),
    service('shop', 'first'),
    endpointSlice('shop', 'first', 'pod', upstream.port),
  ];
  folder.write('first.yaml', site.join('---\n'));
  const token = join(root, 'eu.join');
  writeFileSync(token, await fleet.must(['cluster', 'add', 'eu', '-o', 'token']), { mode: 0o600 });

  const data = join(root, 'eu');
  const http = await freePort();
  const listeners = ['--listen-http', `127.0.0.1:${http}`];
  for (const name of ['https', 'gateway']) listeners.push(`--listen-${name}`, `127.0.0.1:${await freePort()}`);
  const flags = ['--cluster', 'eu', '--data', data, ...listeners, '--haproxy', haproxyBinary];
  const render = async (): Promise<void> => {
    expect(await headgate(['agent', 'render', ...flags])).toMatchObject({ code: 0 });
  };
  const status = async (): Promise<number> =>
    (await fetchAnswer({ port: http, headers: { host: 'first.example' } })).status;

  await render();
  const container = stack.use(new HaproxyContainer(join(data, 'haproxy')));
  container.start();
  await until(status, (seen) => seen === 404);
  const hub = ['--hub', String(fleet.hub.ready['grpc']), '--source', `directory:${folder.path}`, '--join', token];
  const start = async (ops = '127.0.0.1:0'): Promise<Program> =>
    await Program.start(['agent', ...flags, ...hub, '--haproxy-external', '--ops', ops], join(root, 'eu.log'));
  const first = await start();
  stack.defer(async () => await first.end('SIGKILL'));
  await until(status, (seen) => seen === 200);
  await first.end('SIGKILL');

  // A new pod with the same data: what was in memory is gone. The agent lives while HAProxy's container is still to come.
  await container.kill();
  rmSync(join(data, 'haproxy'), { recursive: true });
  await render();
  const ops = `127.0.0.1:${await freePort()}`;
  const starting = start(ops);
  const asked = async (path: string): Promise<string> => {
    const answer = await fetch(`http://${ops}${path}`);
    return `${answer.status} ${await answer.text()}`;
  };
  await until(
    async () => await asked('/readyz'),
    (text) => text.includes('nobody has started HAProxy yet'),
  );
  expect(await asked('/readyz')).toMatch(/^503 /);
  expect(await asked('/livez')).toBe('200 ok\n');
  container.start();
  await until(status, (seen) => seen === 200);
  const second = await starting;
  stack.defer(async () => await second.end('SIGKILL'));
  expect(await asked('/readyz')).toBe('200 ok\n');
  expect(await (await fetch(`http://${String(second.ready['ops'])}/metrics`)).text()).toMatch(
    /^headgate_haproxy_reloads_total\{reason="configuration"\} 0$/m,
  );
  expect(await status()).toBe(200);
});
