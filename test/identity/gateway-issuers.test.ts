import { afterAll, beforeAll, expect, test } from 'vitest';

import type { TestCa, TestLeaf } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { backend, endpoints, host, peer, split } from '../../agent/haproxy/testing/resources.fixture.ts';
import { fetchAnswer, Rig, testBackend } from '../../agent/haproxy/testing/rig.fixture.ts';
import { Authority, gatewayName } from '../../lib/identity/authority.ts';
import { importPair, makeKey, makeKeyAndCsr } from '../../lib/identity/key.ts';
import { signingAlgorithm, x509 } from '../../lib/identity/x509.ts';

const hour = 3_600_000;
const SHARED = 'both.example';

interface ClusterCa {
  readonly authority: Authority;
  /** A leaf with the CA behind it, as the cluster agent hands it out. @param cluster whose name is put into it */
  leaf(cluster: string): Promise<TestLeaf>;
  /** What only somebody with the CA's key could make. */
  forged(subject: string, names: readonly string[]): Promise<TestLeaf>;
}

const stack = new AsyncDisposableStack();
let root: Authority;
let eu: Rig;
let us: Rig;
let euCa: ClusterCa;
let usCa: ClusterCa;

async function clusterCa(cluster: string): Promise<ClusterCa> {
  const { privateKey, csr } = await makeKeyAndCsr();
  const certificate = await root.issueGatewayIssuer(cluster, { csr, now: Date.now(), lifetime: hour });
  const authority = await Authority.load({ certificate, privateKey });
  return {
    authority,
    leaf: async (name) => {
      const own = await makeKeyAndCsr();
      const leaf = await authority.issueGateway(name, { csr: own.csr, now: Date.now(), lifetime: hour });
      return { certificate: leaf + certificate, key: own.privateKey };
    },
    forged: async (subject, names) => {
      const key = await makeKey();
      const issuer = await importPair(privateKey);
      const leaf = await x509.X509CertificateGenerator.create({
        subject,
        issuer: new x509.X509Certificate(certificate).subject,
        notAfter: new Date(Date.now() + hour),
        publicKey: (await importPair(key)).publicKey,
        signingKey: issuer.privateKey,
        signingAlgorithm,
        extensions:
          names.length === 0
            ? []
            : [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value })))],
      });
      return { certificate: `${leaf.toString('pem')}\n${certificate}`, key };
    },
  };
}

/** The gateway's leaf is `gateway`; whatever else a rig needs is under the root. */
function rigCa(gateway: () => Promise<TestLeaf>): TestCa {
  return {
    certificate: root.pem.certificate,
    leaf: async (name) => {
      if (name.endsWith('.gateway.headgate')) return gateway();
      const { privateKey, csr } = await makeKeyAndCsr();
      return { certificate: await root.issueGateway('x', { csr, now: Date.now(), lifetime: hour }), key: privateKey };
    },
  };
}

async function usRig(gateway: () => Promise<TestLeaf>, port: number): Promise<Rig> {
  const resources = [
    host(SHARED, [{ path: '/', at: { eu: 'd/eu/80', us: 'd/us/80' } }]),
    backend('d/us/80'),
    endpoints('d/us', port, ['127.0.0.1']),
    peer('eu', ['127.0.0.1:1']),
  ];
  return stack.use(await Rig.start('us', rigCa(gateway), { upserts: resources, removals: [] }));
}

/** Asks us's gateway; gives the status, or the error of TLS. */
async function ask({ certificate, key }: TestLeaf): Promise<number | string> {
  try {
    return (await fetchAnswer({ port: us.gateway, tls: true, path: '/', cert: certificate, key })).status;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

beforeAll(async () => {
  root = await Authority.create('Headgate gateway CA', 'fleet', Date.now());
  [euCa, usCa] = await Promise.all([clusterCa('eu'), clusterCa('us')]);
  const pods = stack.use(await testBackend('us'));
  us = await usRig(() => usCa.leaf('us'), pods.port);
  eu = stack.use(
    await Rig.start(
      'eu',
      rigCa(() => euCa.leaf('eu')),
      {
        upserts: [
          host(SHARED, [{ path: '/', at: { eu: 'd/eu/80', us: 'd/us/80' } }]),
          peer('us', [`127.0.0.1:${us.gateway}`]),
          split(SHARED, [{ path: '/', shares: [{ cluster: 'us', share: 100_000 }] }]),
        ],
        removals: [],
      },
    ),
  );
});
afterAll(async () => await stack.disposeAsync());

test('gateways with leaves from their clusters’ own CAs reach each other', async () => {
  expect((await eu.get(SHARED, '/')).body).toBe('us');
  // Known, and it named no route.
  expect(await ask(await euCa.leaf('eu'))).toBe(503);
});

test('the CA of a cluster is good for no other cluster’s name, whatever its holder writes', async () => {
  const [own, other] = [gatewayName('eu'), gatewayName('us')];
  const forged: Record<string, TestLeaf> = {
    'the other’s DNS name': await euCa.leaf('us'),
    'the other’s CN, no DNS name': await euCa.forged(`CN=${other}`, []),
    'the other’s CN beside its own DNS name': await euCa.forged(`CN=${other}`, [own]),
    'both CNs beside its own DNS name': await euCa.forged(`CN=${own}, CN=${other}`, [own]),
    'both DNS names': await euCa.forged('', [own, other]),
    'a wildcard': await euCa.forged('', ['*.gateway.headgate']),
  };
  for (const [name, leaf] of Object.entries(forged)) {
    expect({ name, got: await ask(leaf) }).toEqual({ name, got: expect.stringMatching(/^(ECONNRESET|ERR_SSL)/) });
  }
  for (const name of ['the other’s DNS name', 'both CNs beside its own DNS name', 'a wildcard']) {
    const leaf = forged[name];
    if (leaf === undefined) throw new Error(name);
    const rival = await usRig(() => Promise.resolve(leaf), 1);
    await eu.apply({ upserts: [peer('us', [`127.0.0.1:${rival.gateway}`])], removals: [] });
    expect({ name, status: (await eu.get(SHARED, '/')).status }).toEqual({ name, status: 503 });
  }
  await eu.apply({ upserts: [peer('us', [`127.0.0.1:${us.gateway}`])], removals: [] });
  expect((await eu.get(SHARED, '/')).body).toBe('us');
});

test('promise-24 the gateways of a removed cluster are refused, on live connections too', async () => {
  const leaf = await euCa.leaf('eu');
  expect(await ask(leaf)).toBe(503);
  await us.apply({ upserts: [], removals: [{ type: 'peer', name: 'eu' }] });
  expect(await ask(leaf)).toBe(403);
  expect((await eu.get(SHARED, '/')).status).toBe(403);
});
