import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { haproxyPids } from '../../cli/demo/process-fleet.ts';
import { eventually, TestFleet } from '../fleet/fleet.fixture.ts';
import { parseExposition, type Family } from './exposition.fixture.ts';

const REQUESTS = 40;

let here: TestFleet;
let hubOps: string;
beforeAll(async () => {
  here = await TestFleet.start(['eu'], 1);
  hubOps = String(here.fleet.hub.ready['ops']);
  here.write('eu', { namespace: 'good', host: 'good.example' });
  await here.expectStatus('eu', 'good.example', 200);
  await here.sample('eu', 'good.example', REQUESTS);
});
afterAll(async () => {
  await here[Symbol.asyncDispose]();
});

async function get(ops: string, path: string): Promise<{ status: number; text: string; type: string | null }> {
  const answer = await fetch(`http://${ops}${path}`);
  return { status: answer.status, text: await answer.text(), type: answer.headers.get('content-type') };
}

async function metrics(ops: string): Promise<ReadonlyMap<string, Family>> {
  const { status, text, type } = await get(ops, '/metrics');
  expect([status, type]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  return parseExposition(text);
}

/** Values of a family's samples, by one label. */
function byLabel(families: ReadonlyMap<string, Family>, name: string, label: string): Record<string, number> {
  return Object.fromEntries((families.get(name)?.samples ?? []).map((one) => [one.labels.get(label) ?? '', one.value]));
}

test.each(['hub', 'eu'])('%s lives, is ready with its checks by name, and knows nothing else', async (name) => {
  const ops = name === 'hub' ? hubOps : here.cluster('eu').ops;
  expect(await get(ops, '/livez')).toMatchObject({ status: 200, text: 'ok\n' });
  const { status, text } = await get(ops, '/readyz?verbose');
  expect(status).toBe(200);
  expect(text).toMatch(/^(\[\+\][a-z-]+ ok\n)+ok\n$/);
  expect(await get(ops, '/nothing')).toMatchObject({ status: 404 });
  expect((await fetch(`http://${ops}/metrics`, { method: 'POST' })).status).toBe(405);
});

describe('metrics', () => {
  test.each(['hub', 'eu'])(
    'of %s are strict Prometheus text, each explained, counters as they are named',
    async (name) => {
      const families = await metrics(name === 'hub' ? hubOps : here.cluster('eu').ops);
      const entries = [...families].filter(([family]) => /^(headgate|haproxy)_/.test(family));
      expect(entries.filter(([, { help }]) => help === '').map(([family]) => family)).toEqual([]);
      const misnamed = entries.filter(
        ([family, { type }]) => family.startsWith('headgate_') && (type === 'counter') !== family.endsWith('_total'),
      );
      expect(misnamed.map(([family]) => family)).toEqual([]);
    },
  );

  test('of the hub have the names of the contract, known labels from 0', async () => {
    const families = await metrics(hubOps);
    expect(byLabel(families, 'headgate_agent_connected', 'cluster')).toEqual({ eu: 1 });
    expect(byLabel(families, 'headgate_agent_config_age_seconds', 'cluster')).toEqual({ eu: 0 });
    expect(byLabel(families, 'headgate_guard_blocked_total', 'guard')).toEqual({ shrink: 0 });
    const rejections = byLabel(families, 'headgate_config_rejections_total', 'reason');
    expect(rejections).toMatchObject({ HG5002: 0, HG5003: 0 });
    expect(families.get('headgate_config_propagation_seconds')?.type).toBe('histogram');
    const stages = new Set(
      families.get('headgate_config_propagation_seconds')?.samples.map(({ labels }) => labels.get('stage')),
    );
    expect(stages).toEqual(new Set(['compiled', 'acknowledged']));
    expect(byLabel(families, 'headgate_build_info', 'component')).toEqual({ hub: 1 });
    expect(families.has('headgate_certificate_expiry_timestamp_seconds')).toBe(true);
  });

  test("of the agent have the contract's names and HAProxy's own, with namespace, service and port", async () => {
    const families = await metrics(here.cluster('eu').ops);
    const reloads = byLabel(families, 'headgate_haproxy_reloads_total', 'reason');
    expect(Object.keys(reloads).length).toBeGreaterThan(1);
    expect(Object.values(reloads)).toEqual(Object.values(reloads).map(() => 0));
    expect(reloads).toHaveProperty('pool-refill');
    const commands = byLabel(families, 'headgate_runtime_commands_total', 'result');
    expect(commands['failed']).toBe(0);
    expect(commands['ok']).toBeGreaterThan(0);
    expect(families.get('headgate_spare_backends')?.samples[0]?.value).toBeGreaterThan(100);
    expect(byLabel(families, 'headgate_agent_connected', 'cluster')).toEqual({ eu: 1 });
    expect(families.has('headgate_agent_config_age_seconds')).toBe(true);

    const frontends = families.get('haproxy_frontend_http_requests_total');
    expect(frontends?.type).toBe('counter');
    expect(frontends?.samples.reduce((sum, { value }) => sum + value, 0)).toBeGreaterThanOrEqual(REQUESTS);
    const backends = families.get('haproxy_backend_http_requests_total')?.samples ?? [];
    // By service; spares serve nobody and are left out.
    const services = backends.filter(({ labels }) => labels.has('namespace'));
    expect(backends.filter(({ labels }) => /^s\d+$/.test(labels.get('proxy') ?? ''))).toEqual([]);
    expect(services.map(({ labels }) => [labels.get('namespace'), labels.get('service'), labels.get('port')])).toEqual([
      ['good', 'app', 'http'],
    ]);
    expect(services[0]?.value).toBeGreaterThanOrEqual(REQUESTS);
  });
});

test('logs are one JSON object a line with the common fields, no name twice, no secret', () => {
  for (const name of ['hub', 'eu']) {
    const text = readFileSync(join(here.fleet.data, 'logs', `${name}.log`), 'utf8');
    expect(text).not.toMatch(/PRIVATE KEY|hgjoin1\./);
    const common = { ts: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string };
    for (const line of text.trimEnd().split('\n')) {
      const fields = JSON.parse(line) as Record<string, unknown>;
      const level = expect.stringMatching(/^(debug|info|warn|error)$/) as string;
      expect(fields).toMatchObject({ ...common, level, msg: expect.any(String) as string });
      expect(fields).toMatchObject(name === 'hub' ? { component: 'hub' } : { component: 'agent', cluster: 'eu' });
      const names = [...line.matchAll(/[{,]"([a-z_A-Z]+)":/g)].map(([, field]) => field);
      expect(names.length).toBe(new Set(names).size);
    }
  }
});

describe('what is not ready says why and lives', () => {
  test('an agent whose HAProxy died, until it is back', async () => {
    const { ops, data } = here.cluster('eu');
    for (const pid of haproxyPids(data)) process.kill(pid, 'SIGKILL');
    let last = { status: 0, text: '' };
    await eventually(
      async () => (last = await get(ops, '/readyz')).status === 503,
      () => `ready without HAProxy: ${last.text}`,
    );
    expect(last.text).toMatch(/\[-\]haproxy failed: \S+/);
    expect((await get(ops, '/livez')).status).toBe(200);
    // HAProxy's own metrics are not to be had then; the agent's are.
    await eventually(
      async () => (last = await get(ops, '/readyz')).status === 200,
      () => `not ready again: ${last.text}`,
    );
    await here.expectStatus('eu', 'good.example', 200);
  });

  test('an agent that starts while its folder is away, on the last good state', async () => {
    const { folder, agent, ops } = here.cluster('eu');
    await agent.end();
    renameSync(folder.path, `${folder.path}.away`);
    await here.fleet.startAgent('eu');
    const { status, text } = await get(ops, '/readyz?verbose');
    expect([status, text]).toEqual([503, expect.stringContaining('[-]source failed: the source has not been listed')]);
    expect((await get(ops, '/livez')).status).toBe(200);
    expect((await here.ask('eu', 'good.example')).status).toBe(200);
    renameSync(`${folder.path}.away`, folder.path);
    await eventually(
      async () => (await get(ops, '/readyz')).status === 200,
      () => 'not ready with its folder back',
    );
    expect((await here.ask('eu', 'good.example')).status).toBe(200);
  });
});
