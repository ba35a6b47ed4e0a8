import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Inventory, resource } from '../../lib/sync/index.ts';
import type { Resource } from '../../lib/sync/index.ts';
import type { ResourceVerdict } from './data-plane.ts';
import { takesCas } from './process/probe.ts';
import { shortKeyLeaf, testCa } from './testing/certificates.fixture.ts';
import { anyListeners, keepAliveLoad, PlaneBench, service, until } from './testing/plane.fixture.ts';
import { certificate, endpoints, host, peer, split } from './testing/resources.fixture.ts';

const loopback = ['127.0.0.1'];

let bench: PlaneBench;

beforeEach(async () => {
  bench = await PlaneBench.make();
});

afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

function inventory(resources: readonly Resource[]): Inventory {
  const all = new Inventory();
  for (const one of resources) all.set(one);
  return all;
}

function rejected(verdicts: readonly ResourceVerdict[]) {
  return verdicts.filter(({ programmed }) => !programmed);
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

async function servedName(servername: string): Promise<string | undefined> {
  const { https } = bench.plane.status();
  const socket = connectTls({ host: '127.0.0.1', port: portOf(https), servername, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN?.toString();
}

describe('a data plane', () => {
  it('starts HAProxy and takes hosts, endpoints and weights without a reload', async () => {
    const [one, two] = [await bench.upstream('one'), await bench.upstream('two')];
    const plane = await bench.start(service('first', [one.port]));
    expect((await bench.get('first.example')).body).toBe('one');
    expect((await bench.get('second.example')).status).toBe(404);

    await bench.apply(service('second', [two.port]));
    expect((await bench.get('second.example')).body).toBe('two');

    await bench.apply([endpoints('shop/first', two.port, loopback, [], 'slice0')]);
    expect((await bench.get('first.example')).body).toBe('two');

    await bench.apply([split('first.example', [{ path: '/', shares: [] }])]);
    expect((await bench.get('first.example')).status).toBe(503);
    await bench.apply([split('first.example', [{ path: '/', shares: [{ cluster: 'eu', share: 100_000 }] }])]);
    expect((await bench.get('first.example')).status).toBe(200);

    await bench.apply([], [{ type: 'host', name: 'second.example' }]);
    expect((await bench.get('second.example')).status).toBe(404);
    expect(plane.status()).toMatchObject({ ready: true, reason: '' });
    expect(plane.status().reloads.size).toBe(0);
    expect(plane.status().commands.failed).toBe(0);
  });

  it('adds, replaces and removes certificates by SNI', async () => {
    const one = await bench.upstream('one');
    const plane = await bench.start(service('first', [one.port]));
    expect(await servedName('first.example')).toBe('Headgate default certificate');
    await bench.apply([certificate('shop/tls', ['first.example'], await bench.ca.leaf('leaf-1', ['first.example']))]);
    expect(await servedName('first.example')).toBe('leaf-1');
    await bench.apply([certificate('shop/tls', ['first.example'], await bench.ca.leaf('leaf-2', ['first.example']))]);
    expect(await servedName('first.example')).toBe('leaf-2');
    await bench.apply([], [{ type: 'own-certificate', name: 'shop/tls' }]);
    expect(await servedName('first.example')).toBe('Headgate default certificate');
    expect(plane.status().reloads.size).toBe(0);
  });

  it('shows each new gateway leaf, and trusts each new CA alone, however they follow each other', async () => {
    // With a server that uses them, added at runtime: after a CA, older HAProxys take no leaf, and a CA kills them.
    const plane = await bench.start([]);
    await bench.apply([peer('us', ['127.0.0.1:1']), host('far.example', [{ path: '/', at: { us: 'shop/far/80' } }])]);
    await bench.apply([split('far.example', [{ path: '/', shares: [{ cluster: 'us', share: 100_000 }] }])]);
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
    const one = await bench.upstream('one');
    const plane = await bench.start(service('first', [one.port]));
    const broken = resource('endpoints', 'shop/first-slice0', Buffer.from('not a message'));
    const verdicts = await plane.apply({ upserts: [broken, ...service('second', [one.port])], removals: [] });
    expect(rejected(verdicts)).toEqual([
      expect.objectContaining({ key: { type: 'endpoints', name: 'shop/first-slice0' }, code: 'HG1001' }),
    ]);
    expect((await bench.get('first.example')).body).toBe('one');
    expect((await bench.get('second.example')).body).toBe('one');
  });

  it('undoes a resource that HAProxy refuses, names it, and lets the others go live', async () => {
    const one = await bench.upstream('one');
    const plane = await bench.start(service('first', [one.port]));
    const mine = await bench.ca.leaf('mine', ['first.example']);
    await bench.apply([certificate('shop/tls', ['first.example'], mine)]);
    const file = /certs\/c-\S+/.exec(await bench.cli('show ssl crt-list certs/crt-list.txt'))?.[0] ?? '';
    // Somebody takes the certificate away behind the agent's back, so that its update must fail.
    await bench.cli(`del ssl crt-list certs/crt-list.txt ${file}`);
    await bench.cli(`del ssl cert ${file}`);
    const verdicts = await plane.apply({
      upserts: [
        certificate('shop/tls', ['first.example'], await bench.ca.leaf('next', ['first.example'])),
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
    expect(await servedName('first.example')).toBe('mine');
    expect((await bench.get('second.example')).body).toBe('one');
  });

  it('serves without a certificate that HAProxy cannot load, at runtime and at start', async () => {
    const one = await bench.upstream('one');
    // OpenSSL's security level 2 takes no RSA key below 2,048 bits.
    const weak = certificate('shop/weak', ['first.example'], await shortKeyLeaf('first.example'));
    const fine = certificate('shop/fine', ['second.example'], await bench.ca.leaf('fine', ['second.example']));
    const both = [...service('first', [one.port]), ...service('second', [one.port])];
    const plane = await bench.start(both);
    const named = [expect.objectContaining({ key: { type: 'own-certificate', name: 'shop/weak' }, code: 'HG5003' })];
    expect(rejected(await plane.apply({ upserts: [weak, fine], removals: [] }))).toEqual(named);
    expect(await servedName('second.example')).toBe('fine');
    await plane.stop();
    const again = await bench.open();
    expect(rejected(await again.start(inventory([...both, weak, fine])))).toEqual(named);
    expect(await servedName('second.example')).toBe('fine');
    expect((await bench.get('first.example')).body).toBe('one');
  });

  it('refuses a certificate that turns out unusable only when its host comes', async () => {
    const one = await bench.upstream('one');
    const weak = certificate('shop/weak', ['first.example'], await shortKeyLeaf('first.example'));
    const plane = await bench.start([weak]);
    expect(rejected(await plane.apply({ upserts: service('first', [one.port]), removals: [] }))).toEqual([
      expect.objectContaining({
        key: { type: 'own-certificate', name: 'shop/weak' },
        digest: weak.digest,
        code: 'HG5003',
      }),
    ]);
    expect((await bench.get('first.example')).body).toBe('one');
    expect(await servedName('first.example')).toBe('Headgate default certificate');
  });

  it('deletes servers that went when their streams have ended', async () => {
    const [one, two] = [await bench.upstream('one'), await bench.upstream('two')];
    const plane = await bench.start(service('first', [one.port, two.port]));
    await bench.apply([], [{ type: 'endpoints', name: 'shop/first-slice1' }]);
    expect(await bench.cli('show servers state s0000')).toContain(` ${two.port} `);
    await until(
      () => bench.cli('show servers state s0000'),
      (text) => !text.includes(` ${two.port} `),
    );
    // And takes one back that has not been deleted yet.
    await bench.apply([], [{ type: 'endpoints', name: 'shop/first-slice0' }]);
    expect((await bench.get('first.example')).status).toBe(503);
    await bench.apply([endpoints('shop/first', one.port, loopback, [], 'slice0')]);
    expect((await bench.get('first.example')).body).toBe('one');
    expect(plane.status().commands.failed).toBe(0);
  });
});

describe('the pool of spares', () => {
  it('is refilled by hitless reloads when services are born beyond it', async () => {
    const one = await bench.upstream('one');
    const plane = await bench.start(service('first', [one.port]));
    const traffic = keepAliveLoad(bench.http, 'first.example');
    for (let batch = 0; batch < 20; batch++) {
      const births = Array.from({ length: 10 }, (_, i) => service(`b${batch}-${i}`, [one.port]));
      await bench.apply(births.flat());
    }
    expect((await bench.get('b19-9.example')).body).toBe('one');
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
    const [one, two] = [await bench.upstream('one'), await bench.upstream('two')];
    const before = await bench.start([...service('first', [one.port]), ...service('second', [two.port])]);
    await bench.apply([], [{ type: 'host', name: 'first.example' }]);
    const { pid, http } = before.status();
    await bench.leave();
    expect((await bench.get('second.example')).body).toBe('two');

    // What changed while no agent was there is mended on the way.
    const after = await bench.start([...service('second', [two.port]), ...service('third', [one.port])]);
    expect(after.status()).toMatchObject({ ready: true, pid, http });
    expect(after.status().reloads.size).toBe(0);
    expect((await bench.get('second.example')).body).toBe('two');
    expect((await bench.get('third.example')).body).toBe('one');
    expect((await bench.get('first.example')).status).toBe(404);
  });

  it('gives the same routing when HAProxy starts from the files alone', async () => {
    const [one, two] = [await bench.upstream('one'), await bench.upstream('two')];
    const plane = await bench.start(service('first', [one.port]));
    await bench.apply([
      ...service('second', [two.port]),
      endpoints('shop/first', two.port, loopback, [], 'slice0'),
      certificate('shop/tls', ['second.example'], await bench.ca.leaf('leaf', ['second.example'])),
    ]);
    const pid = plane.status().pid ?? 0;
    process.kill(pid, 'SIGKILL');
    await until(
      () => bench.get('second.example'),
      ({ status }) => status === 200 && plane.status().pid !== pid,
    );
    expect((await bench.get('first.example')).body).toBe('two');
    expect(await servedName('second.example')).toBe('leaf');
  });

  it('starts HAProxy again when its worker is killed', async () => {
    const one = await bench.upstream('one');
    await bench.start(service('first', [one.port]));
    const worker = Number(/^Pid: (\d+)$/m.exec(await bench.cli('show info'))?.[1]);
    process.kill(worker, 'SIGKILL');
    await until(
      () => bench.get('first.example'),
      ({ status }) => status === 200,
    );
    await bench.apply(service('second', [one.port]));
    expect((await bench.get('second.example')).body).toBe('one');
  });

  it('mends what another hand changed, after another hand reloaded', async () => {
    const one = await bench.upstream('one');
    await bench.start(service('first', [one.port]));
    await bench.apply(service('second', [one.port]));
    const worker = await bench.cli('show info');
    const socket = connect(join(bench.folder, 'master.sock'));
    socket.end('reload\n');
    socket.resume();
    await once(socket, 'close');
    await until(
      () => bench.cli('show info'),
      (info) => /^Pid: .*$/m.exec(info)?.[0] !== /^Pid: .*$/m.exec(worker)?.[0],
    );
    await bench.cli('clear map maps/path.map');
    expect((await bench.get('first.example')).status).toBe(404);
    await until(
      () => bench.get('first.example'),
      ({ status }) => status === 200,
    );
    await bench.apply(service('third', [one.port]));
    expect((await bench.get('third.example')).body).toBe('one');
  });
});

describe('what cannot be started', () => {
  it('says which address is taken', async () => {
    await using taken = createServer();
    await once(taken.listen(0, '127.0.0.1'), 'listening');
    const address = taken.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const plane = await bench.open({ listeners: { ...anyListeners, http: `127.0.0.1:${String(port)}` } });
    await expect(plane.start(new Inventory())).rejects.toMatchObject({
      code: 'HG2002',
      message: expect.stringContaining(`127.0.0.1:${String(port)}`),
    });
  });

  it('says why HAProxy cannot start, and leaves nothing behind', async () => {
    const weak = await shortKeyLeaf('eu.gateway.headgate');
    const plane = await bench.open({
      gateway: { certificate: weak.certificate, privateKey: weak.key, ca: bench.ca.certificate },
    });
    await expect(plane.start(new Inventory())).rejects.toMatchObject({
      code: 'HG5002',
      message: expect.stringContaining('gateway/gateway.pem'),
    });
    expect(plane.status()).toMatchObject({ ready: false, pid: undefined });
  });

  it('says that HAProxy is missing', async () => {
    await expect(bench.open({ haproxy: '/nowhere/haproxy' })).rejects.toMatchObject({ code: 'HG5001' });
    await expect(bench.open({ haproxy: '/bin/true' })).rejects.toMatchObject({ code: 'HG5001' });
  });
});

it('keeps keys and sockets private and names slots by their service in the metrics', async () => {
  const one = await bench.upstream('one');
  const plane = await bench.start(service('first', [one.port]));
  await bench.get('first.example');
  const metrics = await plane.metrics();
  expect(metrics).toMatch(
    /^haproxy_backend_http_responses_total\{namespace="shop",service="first",port="80",code="2xx"\} 1$/m,
  );
  expect(metrics).not.toContain('proxy="s0001"');
  for (const name of ['gateway/gateway.pem', 'certs/default.pem', 'run/worker.sock', 'master.sock', 'run/state.json']) {
    expect((await stat(join(bench.folder, name))).mode & 0o077).toBe(0);
  }
  expect(await readFile(`/proc/${String(plane.status().pid)}/environ`, 'utf8').catch(() => '')).not.toContain('PATH=');
});
