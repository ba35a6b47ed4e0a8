import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fetchAnswer, haproxyBinary, testBackend } from '../../agent/haproxy/testing/rig.fixture.ts';
import { until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { endpointSlice, ingress, ingressClass, service } from '../../cli/demo/manifests.ts';
import { ProcessFleet } from '../../cli/demo/process-fleet.ts';
import { VERSION } from '../../lib/version.ts';
import { buildProgram } from './built-program.ts';

const run = promisify(execFile);

let folder: string;
let program: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hg-'));
  program = await buildProgram(join(folder, 'image'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('starts without sources and without node_modules', async () => {
  expect((await run(program, ['--version'])).stdout).toBe(`${VERSION}\n`);
  // It fails for want of a hub, after everything about this machine.
  const check = await run(program, ['check', '--haproxy', haproxyBinary]).catch((error: { stdout: string }) => error);
  expect(check.stdout).toMatch(/^√ Node 24/m);
  expect(check.stdout).toMatch(/^√ HAProxy/m);
});

test('a hub and an agent of it serve', async () => {
  await using pod = await testBackend('built');
  await using fleet = await ProcessFleet.start(join(folder, 'f'), [program, 'hub']);
  const slice = endpointSlice('shop', 'shop', 'pod', pod.port);
  fleet.folder('eu').write('class.yaml', ingressClass);
  fleet.folder('eu').write('shop.yaml', `${ingress('shop', 'shop', 'shop.example')}${service('shop', 'shop')}${slice}`);
  const { http } = await fleet.addCluster('eu', ['--haproxy', haproxyBinary], program);
  const port = Number(http.slice(http.lastIndexOf(':') + 1));
  const { seen } = await until(
    async () => await fetchAnswer({ port, headers: { host: 'shop.example' } }),
    ({ status }) => status === 200,
  );
  expect(seen.body).toContain('built');
});

test('a stack names lines of sources where Node is asked to', async () => {
  const hook = encodeURIComponent('process.exit = () => console.error(new Error().stack)');
  const env = { ...process.env, NODE_OPTIONS: `--enable-source-maps --import=data:text/javascript,${hook}` };
  const { stderr } = await run(program, ['--nope'], { env });
  expect(stderr).toMatch(/cli\/main\.ts:\d+:\d+/);
});
