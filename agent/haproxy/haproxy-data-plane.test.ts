import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { Inventory, resource } from '../../lib/sync/index.ts';
import type { Resource, ResourceKey } from '../../lib/sync/index.ts';
import type { DataPlane, DataPlaneOptions, ResourceVerdict } from './data-plane.ts';
import { openDataPlane } from './haproxy-data-plane.ts';
import { takesCas } from './process/probe.ts';
import { shortKeyLeaf, testCa } from './testing/certificates.fixture.ts';
import type { TestCa, TestLeaf } from './testing/certificates.fixture.ts';
import { anyListeners, keepAliveLoad, service } from './testing/plane.fixture.ts';
import { certificate, endpoints, host, peer, split } from './testing/resources.fixture.ts';
import { fetchAnswer, haproxyBinary, testBackend } from './testing/rig.fixture.ts';
import type { Answer, TestBackend } from './testing/rig.fixture.ts';

const loopback = ['127.0.0.1'];

let ca: TestCa;
let leaf: TestLeaf;
let folder: string;
let stack: AsyncDisposableStack;
const ends: AbortController[] = [];

beforeAll(async () => {
  ca = await testCa();
  leaf = await ca.leaf('eu.gateway.headgate');
});

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  folder = await mkdtemp(join(tmpdir(), 'headgate-dp-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
});

afterEach(async () => {
  await stack.disposeAsync();
  for (const end of ends.splice(0)) end.abort();
});

function optionsFor(more: Partial<DataPlaneOptions> = {}): DataPlaneOptions {
  return {
    cluster: 'eu',
    node: 'n1',
    folder,
    haproxy: haproxyBinary,
    listeners: anyListeners,
    gateway: { certificate: leaf.certificate, privateKey: leaf.key, ca: ca.certificate },
    spares: 64,
    ...more,
  };
}

/** A data plane whose HAProxy is stopped when the test ends. */
async function open(more: Partial<DataPlaneOptions> = {}): Promise<DataPlane> {
  const end = new AbortController();
  ends.push(end);
  const plane = await openDataPlane(optionsFor(more), { clock: systemClock, log: silentLog, signal: end.signal });
  stack.defer(() => plane.stop());
  return plane;
}

async function started(resources: readonly Resource[] = []): Promise<DataPlane> {
  const plane = await open();
  expect(rejected(await plane.start(inventory(resources)))).toEqual([]);
  return plane;
}

function inventory(resources: readonly Resource[]): Inventory {
  const all = new Inventory();
  for (const one of resources) all.set(one);
  return all;
}

function rejected(verdicts: readonly ResourceVerdict[]) {
  return verdicts.filter(({ programmed }) => !programmed);
}

async function apply(plane: DataPlane, upserts: readonly Resource[], removals: readonly ResourceKey[] = []) {
  expect(rejected(await plane.apply({ upserts, removals }))).toEqual([]);
}

async function server(name: string): Promise<TestBackend> {
  return stack.use(await testBackend(name));
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

async function get(plane: DataPlane, name: string, path = '/'): Promise<Answer> {
  return await fetchAnswer({ port: portOf(plane.status().http), path, headers: { host: name } });
}

async function until<T>(probe: () => Promise<T>, good: (seen: T) => boolean, ms = 10_000): Promise<T> {
  for (const end = performance.now() + ms; ;) {
    const seen = await probe().catch(() => undefined);
    if (seen !== undefined && good(seen)) return seen;
    if (performance.now() > end) throw new Error(`still ${JSON.stringify(seen)}`);
    await systemClock.sleep(20);
  }
}

/** One command to the worker's own socket. */
async function cli(text: string): Promise<string> {
  const socket = connect(join(folder, 'run/worker.sock'));
  socket.end(`${text}\n`);
  let reply = '';
  for await (const chunk of socket) reply += String(chunk);
  return reply.trim();
}

function servers(backend: string): Promise<string> {
  return cli(`show servers state ${backend}`);
}

async function servedNames(plane: DataPlane, servername: string): Promise<string | undefined> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: portOf(plane.status().https),
    servername,
    rejectUnauthorized: false,
  });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN?.toString();
}

describe('a data plane', () => {
  it('starts HAProxy and takes hosts, endpoints and weights without a reload', async () => {
    const [one, two] = [await server('one'), await server('two')];
    const plane = await started(service('first', [one.port]));
    expect((await get(plane, 'first.example')).body).toBe('one');
    expect((await get(plane, 'second.example')).status).toBe(404);

    await apply(plane, service('second', [two.port]));
    expect((await get(plane, 'second.example')).body).toBe('two');

    await apply(plane, [endpoints('shop/first', two.port, loopback, [], 'slice0')]);
    expect((await get(plane, 'first.example')).body).toBe('two');

    await apply(plane, [split('first.example', [{ path: '/', shares: [] }])]);
    expect((await get(plane, 'first.example')).status).toBe(503);
    await apply(plane, [split('first.example', [{ path: '/', shares: [{ cluster: 'eu', share: 100_000 }] }])]);
    expect((await get(plane, 'first.example')).status).toBe(200);

    await apply(plane, [], [{ type: 'host', name: 'second.example' }]);
    expect((await get(plane, 'second.example')).status).toBe(404);
    expect(plane.status()).toMatchObject({ ready: true, reason: '' });
    expect(plane.status().reloads.size).toBe(0);
    expect(plane.status().commands.failed).toBe(0);
  });

  it('adds, replaces and removes certificates by SNI', async () => {
    const one = await server('one');
    const plane = await started(service('first', [one.port]));
    expect(await servedNames(plane, 'first.example')).toBe('Headgate default certificate');
    await apply(plane, [certificate('shop/tls', ['first.example'], await ca.leaf('leaf-1', ['first.example']))]);
    expect(await servedNames(plane, 'first.example')).toBe('leaf-1');
    await apply(plane, [certificate('shop/tls', ['first.example'], await ca.leaf('leaf-2', ['first.example']))]);
    expect(await servedNames(plane, 'first.example')).toBe('leaf-2');
    await apply(plane, [], [{ type: 'own-certificate', name: 'shop/tls' }]);
    expect(await servedNames(plane, 'first.example')).toBe('Headgate default certificate');
    expect(plane.status().reloads.size).toBe(0);
  });

  it('shows each new gateway leaf, and trusts each new CA alone, however they follow each other', async () => {
    // With a server that uses them, added at runtime: after a CA, older HAProxys take no leaf, and a CA kills them.
    const plane = await started();
    await apply(plane, [peer('us', ['127.0.0.1:1']), host('far.example', [{ path: '/', at: { us: 'shop/far/80' } }])]);
    await apply(plane, [split('far.example', [{ path: '/', shares: [{ cluster: 'us', share: 100_000 }] }])]);
    const { pid, gateway, version } = plane.status();
    for (let i = 0; i < 3; i++) {
      const next = await testCa();
      for (let renewal = 0; renewal < 2; renewal++) {
        const { certificate, key } = await next.leaf('eu.gateway.headgate');
        await plane.setGateway({ certificate, privateKey: key, ca: next.certificate });
        const socket = connectTls({
          host: '127.0.0.1',
          port: portOf(gateway),
          cert: certificate,
          key,
          ca: next.certificate,
          servername: 'eu.gateway.headgate',
        });
        await once(socket, 'secureConnect');
        expect(socket.authorized).toBe(true);
        expect(socket.getPeerX509Certificate()?.fingerprint).toBe(new X509Certificate(certificate).fingerprint);
        socket.destroy();
      }
    }
    expect(plane.status()).toMatchObject({ pid, ready: true });
    expect([...plane.status().reloads]).toEqual(takesCas(version) ? [] : [['gateway-ca', 3]]);
  });

  it('rejects a bad resource alone and keeps its last good version', async () => {
    const one = await server('one');
    const plane = await started(service('first', [one.port]));
    const broken = resource('endpoints', 'shop/first-slice0', Buffer.from('not a message'));
    const verdicts = await plane.apply({ upserts: [broken, ...service('second', [one.port])], removals: [] });
    expect(rejected(verdicts)).toEqual([
      expect.objectContaining({ key: { type: 'endpoints', name: 'shop/first-slice0' }, code: 'HG1001' }),
    ]);
    expect((await get(plane, 'first.example')).body).toBe('one');
    expect((await get(plane, 'second.example')).body).toBe('one');
  });

  it('undoes a resource that HAProxy refuses, names it, and lets the others go live', async () => {
    const one = await server('one');
    const plane = await started(service('first', [one.port]));
    const mine = await ca.leaf('mine', ['first.example']);
    await apply(plane, [certificate('shop/tls', ['first.example'], mine)]);
    const file = /certs\/c-\S+/.exec(await cli('show ssl crt-list certs/crt-list.txt'))?.[0] ?? '';
    // Somebody takes the certificate away behind the agent's back, so that its update must fail.
    await cli(`del ssl crt-list certs/crt-list.txt ${file}`);
    await cli(`del ssl cert ${file}`);
    const verdicts = await plane.apply({
      upserts: [
        certificate('shop/tls', ['first.example'], await ca.leaf('next', ['first.example'])),
        ...service('second', [one.port]),
      ],
      removals: [],
    });
    expect(rejected(verdicts)).toEqual([
      expect.objectContaining({
        key: { type: 'own-certificate', name: 'shop/tls' },
        code: 'HG5003',
        haproxy: expect.stringContaining('not referenced'),
      }),
    ]);
    expect(await servedNames(plane, 'first.example')).toBe('mine');
    expect((await get(plane, 'second.example')).body).toBe('one');
  });

  it('serves without a certificate that HAProxy cannot load, at runtime and at start', async () => {
    const one = await server('one');
    // OpenSSL's security level 2 takes no RSA key below 2,048 bits.
    const weak = certificate('shop/weak', ['first.example'], await shortKeyLeaf('first.example'));
    const fine = certificate('shop/fine', ['second.example'], await ca.leaf('fine', ['second.example']));
    const both = [...service('first', [one.port]), ...service('second', [one.port])];
    const plane = await started(both);
    const named = [expect.objectContaining({ key: { type: 'own-certificate', name: 'shop/weak' }, code: 'HG5003' })];
    expect(rejected(await plane.apply({ upserts: [weak, fine], removals: [] }))).toEqual(named);
    expect(await servedNames(plane, 'second.example')).toBe('fine');
    await plane.stop();
    const again = await open();
    expect(rejected(await again.start(inventory([...both, weak, fine])))).toEqual(named);
    expect(await servedNames(again, 'second.example')).toBe('fine');
    expect((await get(again, 'first.example')).body).toBe('one');
  });

  it('refuses a certificate that turns out unusable only when its host comes', async () => {
    const one = await server('one');
    const weak = certificate('shop/weak', ['first.example'], await shortKeyLeaf('first.example'));
    const plane = await started([weak]);
    expect(rejected(await plane.apply({ upserts: service('first', [one.port]), removals: [] }))).toEqual([
      expect.objectContaining({
        key: { type: 'own-certificate', name: 'shop/weak' },
        digest: weak.digest,
        code: 'HG5003',
      }),
    ]);
    expect((await get(plane, 'first.example')).body).toBe('one');
    expect(await servedNames(plane, 'first.example')).toBe('Headgate default certificate');
  });

  it('deletes servers that went when their streams have ended', async () => {
    const [one, two] = [await server('one'), await server('two')];
    const plane = await started(service('first', [one.port, two.port]));
    await apply(plane, [], [{ type: 'endpoints', name: 'shop/first-slice1' }]);
    expect(await servers('s0000')).toContain(` ${two.port} `);
    await until(
      () => servers('s0000'),
      (text) => !text.includes(` ${two.port} `),
    );
    // And takes one back that has not been deleted yet.
    await apply(plane, [], [{ type: 'endpoints', name: 'shop/first-slice0' }]);
    expect((await get(plane, 'first.example')).status).toBe(503);
    await apply(plane, [endpoints('shop/first', one.port, loopback, [], 'slice0')]);
    expect((await get(plane, 'first.example')).body).toBe('one');
    expect(plane.status().commands.failed).toBe(0);
  });
});

describe('the pool of spares', () => {
  it('is refilled by hitless reloads when services are born beyond it', async () => {
    const one = await server('one');
    const plane = await started(service('first', [one.port]));
    const traffic = keepAliveLoad(portOf(plane.status().http), 'first.example');
    for (let batch = 0; batch < 20; batch++) {
      const births = Array.from({ length: 10 }, (_, i) => service(`b${batch}-${i}`, [one.port]));
      await apply(plane, births.flat());
    }
    expect((await get(plane, 'b19-9.example')).body).toBe('one');
    await traffic.stop();
    const { requests, failures } = traffic;
    expect(requests).toBeGreaterThan(50);
    expect(failures).toEqual([]);
    expect([...plane.status().reloads.keys()]).toEqual(['pool-refill']);
    await until(
      () => Promise.resolve(plane.status().sparesLeft),
      (left) => left > 32,
    );
  });
});

describe('an agent that comes back', () => {
  it('takes over the HAProxy that runs, without a reload and on the same addresses', async () => {
    const [one, two] = [await server('one'), await server('two')];
    const before = await started([...service('first', [one.port]), ...service('second', [two.port])]);
    await apply(before, [], [{ type: 'host', name: 'first.example' }]);
    const { pid, http } = before.status();
    await before[Symbol.asyncDispose]();
    expect((await get(before, 'second.example')).body).toBe('two');

    const after = await open();
    // What changed while no agent was there is mended on the way.
    await after.start(inventory([...service('second', [two.port]), ...service('third', [one.port])]));
    expect(after.status()).toMatchObject({ ready: true, pid, http });
    expect(after.status().reloads.size).toBe(0);
    expect((await get(after, 'second.example')).body).toBe('two');
    expect((await get(after, 'third.example')).body).toBe('one');
    expect((await get(after, 'first.example')).status).toBe(404);
  });

  it('gives the same routing when HAProxy starts from the files alone', async () => {
    const [one, two] = [await server('one'), await server('two')];
    const plane = await started(service('first', [one.port]));
    await apply(plane, [
      ...service('second', [two.port]),
      endpoints('shop/first', two.port, loopback, [], 'slice0'),
      certificate('shop/tls', ['second.example'], await ca.leaf('leaf', ['second.example'])),
    ]);
    const pid = plane.status().pid ?? 0;
    process.kill(pid, 'SIGKILL');
    await until(
      () => get(plane, 'second.example'),
      ({ status }) => status === 200 && plane.status().pid !== pid,
    );
    expect((await get(plane, 'first.example')).body).toBe('two');
    expect(await servedNames(plane, 'second.example')).toBe('leaf');
  });

  it('starts HAProxy again when its worker is killed', async () => {
    const one = await server('one');
    const plane = await started(service('first', [one.port]));
    const worker = Number(/^Pid: (\d+)$/m.exec(await cli('show info'))?.[1]);
    process.kill(worker, 'SIGKILL');
    await until(
      () => get(plane, 'first.example'),
      ({ status }) => status === 200,
    );
    await apply(plane, service('second', [one.port]));
    expect((await get(plane, 'second.example')).body).toBe('one');
  });

  it('mends what another hand changed, after another hand reloaded', async () => {
    const one = await server('one');
    const plane = await started(service('first', [one.port]));
    await apply(plane, service('second', [one.port]));
    const worker = await cli('show info');
    const socket = connect(join(folder, 'master.sock'));
    socket.end('reload\n');
    socket.resume();
    await once(socket, 'close');
    await until(
      () => cli('show info'),
      (info) => /^Pid: .*$/m.exec(info)?.[0] !== /^Pid: .*$/m.exec(worker)?.[0],
    );
    await cli('clear map maps/path.map');
    expect((await get(plane, 'first.example')).status).toBe(404);
    await until(
      () => get(plane, 'first.example'),
      ({ status }) => status === 200,
    );
    await apply(plane, service('third', [one.port]));
    expect((await get(plane, 'third.example')).body).toBe('one');
  });
});

describe('what cannot be started', () => {
  it('says which address is taken', async () => {
    const taken = createServer();
    await once(taken.listen(0, '127.0.0.1'), 'listening');
    stack.defer(() => void taken.close());
    const address = taken.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const plane = await open({ listeners: { ...anyListeners, http: `127.0.0.1:${String(port)}` } });
    await expect(plane.start(new Inventory())).rejects.toMatchObject({
      code: 'HG2002',
      message: expect.stringContaining(`127.0.0.1:${String(port)}`),
    });
  });

  it('says why HAProxy cannot start, and leaves nothing behind', async () => {
    const weak = await shortKeyLeaf('eu.gateway.headgate');
    const plane = await open({
      gateway: { certificate: weak.certificate, privateKey: weak.key, ca: ca.certificate },
    });
    await expect(plane.start(new Inventory())).rejects.toMatchObject({
      code: 'HG5002',
      message: expect.stringContaining('gateway/gateway.pem'),
    });
    expect(plane.status()).toMatchObject({ ready: false, pid: undefined });
  });

  it('says that HAProxy is missing', async () => {
    await expect(open({ haproxy: '/nowhere/haproxy' })).rejects.toMatchObject({ code: 'HG5001' });
    await expect(open({ haproxy: '/bin/true' })).rejects.toMatchObject({ code: 'HG5001' });
  });
});

it('keeps keys and sockets private and names slots by their service in the metrics', async () => {
  const one = await server('one');
  const plane = await started(service('first', [one.port]));
  await get(plane, 'first.example');
  const metrics = await plane.metrics();
  expect(metrics).toMatch(
    /^haproxy_backend_http_responses_total\{namespace="shop",service="first",port="80",code="2xx"\} 1$/m,
  );
  expect(metrics).not.toContain('proxy="s0001"');
  for (const name of ['gateway/gateway.pem', 'certs/default.pem', 'run/worker.sock', 'master.sock', 'run/state.json']) {
    expect((await stat(join(folder, name))).mode & 0o077).toBe(0);
  }
  expect(await readFile(`/proc/${String(plane.status().pid)}/environ`, 'utf8').catch(() => '')).not.toContain('PATH=');
});
