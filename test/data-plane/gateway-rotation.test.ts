import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { expect, it } from 'vitest';
import type { GatewayCredentials } from '../../agent/haproxy/data-plane.ts';
import { keepAliveLoad, PlaneBench } from '../../agent/haproxy/testing/plane.fixture.ts';
import { backend, endpoints, host, peer, split } from '../../agent/haproxy/testing/resources.fixture.ts';
import { fetchAnswer } from '../../agent/haproxy/testing/rig.fixture.ts';
import { Authority } from '../../lib/identity/authority.ts';
import { makeKeyAndCsr } from '../../lib/identity/key.ts';
import { report } from './report.ts';

const hour = 3_600_000;

/** All roots have one name, as in a fleet: they are told apart by their key identifiers alone. */
function newRoot(): Promise<Authority> {
  return Authority.create('Headgate gateway CA', 'fleet', Date.now());
}

/** A leaf from the hub. */
async function leafOf(cluster: string, root: Authority, trusted: readonly Authority[]): Promise<GatewayCredentials> {
  const { privateKey, csr } = await makeKeyAndCsr();
  const certificate = await root.issueGateway(cluster, { csr, now: Date.now(), lifetime: hour });
  return { certificate, privateKey, ca: bundle(trusted) };
}

/** A leaf from the cluster's own CA. */
async function nodeLeafOf(
  cluster: string,
  root: Authority,
  trusted: readonly Authority[],
): Promise<GatewayCredentials> {
  const { privateKey, csr } = await makeKeyAndCsr();
  const certificate = await root.issueGatewayIssuer(cluster, { csr, now: Date.now(), lifetime: hour });
  const leaf = await leafOf(cluster, await Authority.load({ certificate, privateKey }), trusted);
  return { ...leaf, certificate: leaf.certificate + certificate };
}

function bundle(trusted: readonly Authority[]): string {
  return trusted.map(({ pem }) => pem.certificate).join('');
}

/** A third cluster's gateway, with a handshake for each request: it answers with the serial of the caller's leaf. */
async function strictGateway(credentials: GatewayCredentials): Promise<Server> {
  const server = createServer({ ...context(credentials), requestCert: true }, ({ socket }, response) => {
    const caller = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
    response.setHeader('connection', 'close').end(caller?.serialNumber);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server;
}

function context({ certificate, privateKey, ca }: GatewayCredentials) {
  // Node takes no bundle whose certificates share a line, as HAProxy's agent does.
  return { cert: certificate, key: privateKey, ca: ca.split(/(?<=-----END CERTIFICATE-----)/) };
}

function crossing(name: string, cluster: string) {
  const at = { [cluster]: `shop/${cluster}/80` };
  return [host(name, [{ path: '/', at }]), split(name, [{ path: '/', shares: [{ cluster, share: 100_000 }] }])];
}

it('promise 25, gateways: two roots in turn replace the one before, and no crossing request is lost', async () => {
  await using us = await PlaneBench.make();
  await using eu = await PlaneBench.make();
  let root = await newRoot();
  const { port } = await us.upstream('us');
  const ap = await strictGateway(await leafOf('ap', root, [root]));
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => {
    await once(ap.close(), 'close');
  });
  const apAddress = ap.address();
  await us.start(
    [
      peer('eu', ['127.0.0.1:1']),
      backend('shop/us/80'),
      endpoints('shop/us', port, ['127.0.0.1']),
      host('us.example', [{ path: '/', at: { us: 'shop/us/80' } }]),
    ],
    { cluster: 'us', gateway: await nodeLeafOf('us', root, [root]) },
  );
  await eu.start(
    [
      peer('us', [us.plane.status().gateway]),
      peer('ap', [`127.0.0.1:${typeof apAddress === 'object' ? apAddress?.port : ''}`]),
      ...crossing('us.example', 'us'),
      ...crossing('ap.example', 'ap'),
    ],
    { gateway: await leafOf('eu', root, [root]) },
  );
  await using toUs = keepAliveLoad(eu.http, 'us.example');
  await using toAp = keepAliveLoad(eu.http, 'ap.example', 1);
  for (let rotation = 0; rotation < 2; rotation++) {
    const next = await newRoot();
    // All trust the new root before any shows a leaf of it, and the old one until none does.
    const steps: readonly (readonly [Authority, readonly Authority[]])[] = [
      [root, [root, next]],
      [next, [root, next]],
      [next, [next]],
    ];
    for (const [issuer, trusted] of steps) {
      await us.plane.setGateway(await nodeLeafOf('us', issuer, trusted));
      ap.setSecureContext(context(await leafOf('ap', issuer, trusted)));
      const own = await leafOf('eu', issuer, trusted);
      await eu.plane.setGateway(own);
      expect((await eu.get('ap.example')).body).toBe(new X509Certificate(own.certificate).serialNumber);
      const gateway = { port: Number(us.plane.status().gateway.split(':').at(-1)), path: '/', tls: true };
      const caller = { cert: own.certificate, key: own.privateKey };
      expect(await fetchAnswer({ ...gateway, ...caller })).toMatchObject({ status: 503, body: 'no endpoint\n' });
      const before = toUs.requests;
      while (toUs.requests < before + 20) expect((await eu.get('us.example')).body).toBe('us');
      if (trusted.includes(root)) continue;
      const late = await leafOf('eu', root, trusted);
      const refused = fetchAnswer({ ...gateway, cert: late.certificate, key: late.privateKey });
      await expect(refused).rejects.toThrow(/alert|reset|hang up|disconnected/);
    }
    root = next;
  }
  await Promise.all([toUs.stop(), toAp.stop()]);
  const failures = [...toUs.failures, ...toAp.failures];
  const reloads = [us, eu].map(({ plane }) => plane.status().reloads.get('gateway-ca') ?? 0);
  report('roots of the gateways changed twice', {
    requests: toUs.requests + toAp.requests,
    lost: failures.length,
    'reloads of each': Math.max(...reloads),
  });
  expect(failures).toEqual([]);
});

it('an agent that died between the file of CAs and HAProxy is followed by one that mends it', async () => {
  await using bench = await PlaneBench.make();
  const [before, after] = [await newRoot(), await newRoot()];
  const plane = await bench.start([peer('us', ['127.0.0.1:1'])], { gateway: await leafOf('eu', before, [before]) });
  await bench.leave();
  await writeFile(join(bench.folder, 'gateway/ca.pem'), `${after.pem.certificate}\n`);
  await bench.start([peer('us', ['127.0.0.1:1'])], { gateway: await leafOf('eu', after, [after]) });
  const caller = await leafOf('us', after, [after]);
  const port = Number(plane.status().gateway.split(':').at(-1));
  const asked = { port, path: '/', tls: true, cert: caller.certificate, key: caller.privateKey };
  expect(await fetchAnswer(asked)).toMatchObject({ status: 503, body: 'no endpoint\n' });
});
