import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { isAlive } from '../../agent/haproxy/process/stop.ts';
import { Load } from '../../cli/demo/load.ts';
import { haproxyPids } from '../../cli/demo/process-fleet.ts';
import { HEADGATE } from '../../cli/demo/processes.ts';
import { eventually, TestFleet } from '../fleet/fleet.fixture.ts';
import { parseExposition } from './exposition.fixture.ts';
import { canMount, expectRefusal, inside, readOnly, run, sized, takenPort } from './run.fixture.ts';

/** Requests a second. */
const RATE = 200;
const HOST = 'good.example';

let here: TestFleet;
beforeAll(async () => {
  here = await TestFleet.start(['eu', 'us'], 1);
  here.writeAll({ namespace: 'good', host: HOST }, { eu: 1, us: 1 });
  await Promise.all([here.expectStatus('eu', HOST, 200), here.expectStatus('us', HOST, 200)]);
});
afterAll(async () => {
  await here[Symbol.asyncDispose]();
});

/** HAProxy's master and workers, and how often it was reloaded since its agent started. */
async function haproxy(cluster: string): Promise<{ pids: readonly number[]; reloads: number }> {
  const { ops, data } = here.cluster(cluster);
  const families = parseExposition(await (await fetch(`http://${ops}/metrics`)).text());
  const samples = families.get('headgate_haproxy_reloads_total')?.samples ?? [];
  return { pids: haproxyPids(data), reloads: samples.reduce((sum, { value }) => sum + value, 0) };
}

describe('a hub', () => {
  test.each([
    ['SIGTERM', 0],
    ['SIGINT', 130],
  ] as const)('ends by %s with %i within 2 s, streams open, and its clusters serve on', async (signal, code) => {
    const load = new Load(here.fleet.entries(), [HOST], RATE);
    const { child } = here.fleet.hub;
    const exited = once(child, 'exit');
    const began = performance.now();
    child.kill(signal);
    expect(await exited).toEqual([code, null]);
    expect(performance.now() - began).toBeLessThan(2_000);
    expect((await here.ask('eu', HOST)).status).toBe(200);
    await here.fleet.restartHub();
    await load.stop();
    expect(load.failures).toEqual([]);
  });
});

/** An agent in a mount namespace of its own; resolves when it is ready, ends with the callback. */
async function startedInside(before: string, body: () => Promise<void>): Promise<void> {
  const { http, https, gateway, ops, data, folder } = here.cluster('eu');
  await here.cluster('eu').agent.end();
  const known = ['--cluster', 'eu', '--hub', String(here.fleet.hub.ready['grpc']), '--data', data];
  const listen = ['--listen-http', http, '--listen-https', https, '--listen-gateway', gateway, '--ops', ops];
  const args = ['agent', ...known, '--source', `directory:${folder.path}`, ...listen];
  const [file, ...rest] = inside(before, [HEADGATE, ...args]);
  const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const exited = once(child, 'exit');
  const ready = once(createInterface({ input: child.stdout }), 'line');
  const first = await Promise.race([ready, exited.then(() => [`ended: ${log}`])]);
  try {
    expect(first[0]).toContain('"msg":"ready"');
    await body();
    expect(log).toContain('cannot be written');
  } finally {
    child.kill('SIGTERM');
    await exited;
    await here.fleet.startAgent('eu');
  }
}

describe('an agent', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)('that ends by %s leaves HAProxy to the next', async (signal) => {
    const before = await haproxy('eu');
    expect(before.pids).toHaveLength(2);
    const load = new Load(here.fleet.entries(), [HOST], RATE);
    const { child } = here.cluster('eu').agent;
    const exited = once(child, 'exit');
    child.kill(signal);
    const codes = { SIGTERM: [0, null], SIGINT: [130, null], SIGKILL: [null, 'SIGKILL'] };
    expect(await exited).toEqual(codes[signal]);
    expect((await here.ask('eu', HOST)).pod?.cluster).toBe('eu');
    await here.fleet.startAgent('eu');
    await here.expectStatus('eu', HOST, 200);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(load.total).toBeGreaterThan(20);
    expect(await haproxy('eu')).toEqual({ pids: before.pids, reloads: 0 });
  });

  test('that would have to move to a taken port leaves HAProxy where it is', async () => {
    const { agent, data, folder, https, gateway, ops } = here.cluster('eu');
    const { pids } = await haproxy('eu');
    await agent.end();
    using port = await takenPort();
    const known = ['--cluster', 'eu', '--hub', String(here.fleet.hub.ready['grpc']), '--data', data];
    const listen = ['--listen-http', port.address, '--listen-https', https, '--listen-gateway', gateway, '--ops', ops];
    const refused = await run(['agent', ...known, '--source', `directory:${folder.path}`, ...listen]);
    expectRefusal(refused, 1, 'HG2002', port.address, 'the port is taken');
    expect((await here.ask('eu', HOST)).pod?.cluster).toBe('eu');
    await here.fleet.startAgent('eu');
    expect(await haproxy('eu')).toEqual({ pids, reloads: 0 });
  });

  test('is stopped together with its HAProxy', async () => {
    const { agent, data } = here.cluster('us');
    const pids = [agent.pid, ...haproxyPids(data)];
    expect(pids).toHaveLength(3);
    const stopped = await here.fleet.run(['agent', 'stop', '--data', data]);
    expect(stopped).toEqual({ code: 0, stdout: 'ended the agent and HAProxy\n', stderr: '' });
    expect(pids.filter(isAlive)).toEqual([]);
    expect(existsSync(join(data, 'agent.pid'))).toBe(false);
    expect(existsSync(join(data, 'haproxy', 'haproxy.pid'))).toBe(false);
    const again = await here.fleet.run(['agent', 'stop', '--data', data]);
    expect(again).toEqual({ code: 0, stdout: 'nothing runs there\n', stderr: '' });
    await here.fleet.startAgent('us');
    await here.expectStatus('us', HOST, 200);
  });

  describe.runIf(canMount)('whose folder takes no writes any more', () => {
    test('serves on from a read-only one, HAProxy taken over, without one failure', async () => {
      const { pids } = await haproxy('eu');
      const load = new Load(here.fleet.entries(), [HOST], RATE);
      await startedInside(readOnly(here.cluster('eu').data), async () => {
        expect((await here.ask('eu', HOST)).pod?.cluster).toBe('eu');
        expect((await haproxy('eu')).pids).toEqual(pids);
        expect((await fetch(`http://${here.cluster('eu').ops}/livez`)).status).toBe(200);
      });
      await load.stop();
      expect(load.failures).toEqual([]);
    });

    test('serves from a full one, HAProxy started anew', async () => {
      const { data } = here.cluster('eu');
      await here.fleet.run(['agent', 'stop', '--data', data]);
      const copy = `cp -a '${data}' '${data}.copy' && ${sized(data, '4m')} && cp -a '${data}.copy/.' '${data}/'`;
      const fill = `{ dd if=/dev/zero of='${data}/fill' bs=4k 2>/dev/null; rm -rf '${data}.copy'; }`;
      let pids: readonly number[] = [];
      await startedInside(`${copy} && ${fill}`, async () => {
        await here.expectStatus('eu', HOST, 200);
        pids = readdirSync('/proc')
          .map(Number)
          .filter((pid) => pid > 0 && isHaproxyIn(pid, data));
        expect(pids.length).toBeGreaterThan(1);
        // It lives where only its agent could see it: the next one finds its addresses free.
        for (const pid of pids) process.kill(pid, 'SIGKILL');
        await eventually(
          () => Promise.resolve(!pids.some(isAlive)),
          () => 'HAProxy does not end',
        );
      });
    });
  });
});

function isHaproxyIn(pid: number, data: string): boolean {
  try {
    return (
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('haproxy\0-W') &&
      readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(data)
    );
  } catch {
    return false;
  }
}

test('the demo leaves neither a process nor a file behind when it is interrupted', { timeout: 60_000 }, async () => {
  const home = mkdtempSync(join(tmpdir(), 'hg-'));
  try {
    const child = spawn(HEADGATE, ['demo', '--clusters', 'eu', '--plain'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, TMPDIR: home },
    });
    const exited = once(child, 'exit');
    await once(createInterface({ input: child.stdout }), 'line');
    const ours = (): number[] =>
      readdirSync('/proc')
        .map(Number)
        .filter((pid) => pid > 0 && mentions(pid, home));
    await eventually(
      () => Promise.resolve(ours().length >= 5),
      () => 'the demo starts nothing',
    );
    child.kill('SIGINT');
    expect(await exited).toEqual([130, null]);
    expect(ours()).toEqual([]);
    expect(readdirSync(home)).toEqual([]);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

function mentions(pid: number, folder: string): boolean {
  try {
    const files = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8'));
    return [...files, readlinkSync(`/proc/${pid}/cwd`)].some((text) => text.includes(folder));
  } catch {
    return false;
  }
}
