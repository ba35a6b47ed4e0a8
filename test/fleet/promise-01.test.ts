import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Load } from '../../cli/demo/load.ts';
import { testAuthority } from '../ingress/certificates.ts';
import { handshake } from '../ingress/clients.ts';
import { secret } from '../bad-input/bad-manifests.fixture.ts';
import { eventually, TestFleet, tier, trafficPolicy } from './fleet.fixture.ts';

/** Seconds that the hub's control certificates live. */
const LIFETIME = 8;
/** Requests a second. */
const RATE = 200;
const OWN = { namespace: 'own', host: 'own.example' };
const CROSSING = { namespace: 'crossing', host: 'crossing.example' };

let fleet: TestFleet;
beforeAll(async () => {
  const hub = [process.execPath, join(import.meta.dirname, 'brief-hub.ts'), String(LIFETIME)];
  fleet = await TestFleet.start(['eu', 'us'], 2, [], hub);
  fleet.writeAll(OWN, { eu: 1, us: 1 });
  fleet.writeAll(CROSSING, { eu: 1, us: 1 });
  await fleet.apply(trafficPolicy('crossing', `tiers: [${tier({ us: 1 })}]`));
  await fleet.expectShares('eu', OWN.host, { eu: 1 }, 20);
  await fleet.expectShares('eu', CROSSING.host, { us: 1 }, 20);
});
afterAll(async () => await fleet?.[Symbol.asyncDispose]());

/** Unix milliseconds at which what the agent holds for its links expires. */
function expiry(cluster: string): number {
  const text = readFileSync(join(fleet.cluster(cluster).data, 'identity', 'credentials.json'), 'utf8');
  const { control } = JSON.parse(text) as { control: { certificate: string } };
  return new X509Certificate(control.certificate).validToDate.getTime();
}

async function podOf(cluster: string, host: string): Promise<string | undefined> {
  return (await fleet.ask(cluster, host)).pod?.pod;
}

async function expectPod(cluster: string, host: string, pod: string): Promise<void> {
  let last: string | undefined;
  await eventually(
    async () => (last = await podOf(cluster, host)) === pod,
    () => `${host} at ${cluster} is answered by ${String(last)}, not ${pod}`,
  );
}

async function serial(name: string): Promise<string> {
  const https = fleet.cluster('eu').https;
  const socket = await handshake(Number(https.slice(https.lastIndexOf(':') + 1)), { servername: name });
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

/** The host's Ingress with a certificate, in a file of its own. */
async function writeCertificate(): Promise<string> {
  const pair = await (await testAuthority()).leaf([OWN.host]);
  const { namespace, host } = OWN;
  const ingress = `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: tls, namespace: ${namespace} }
spec:
  ingressClassName: headgate
  tls: [{ hosts: [${host}], secretName: tls }]
  rules: [{ host: ${host}, http: { paths: [{ path: /tls, pathType: Prefix, backend: { service: { name: app, port: { number: 80 } } } }] } }]
`;
  fleet.fleet.folder('eu').write('tls.yaml', `${ingress}${secret(namespace, 'tls', pair)}`);
  return pair.serial;
}

test('promise-01: the hub is killed, its certificates expire, agents restart, and nobody notices', async () => {
  const first = await writeCertificate();
  await eventually(
    async () => (await serial(OWN.host)) === first,
    () => 'the certificate is not served',
  );
  const load = new Load(fleet.fleet.entries(), [OWN.host, CROSSING.host], RATE);
  await fleet.fleet.hub.end('SIGKILL');
  await eventually(
    () => Promise.resolve(Date.now() > Math.max(expiry('eu'), expiry('us'))),
    () => 'the certificates have not expired',
    (LIFETIME + 2) * 1_000,
  );
  for (const cluster of ['eu', 'us']) {
    await fleet.cluster(cluster).agent.end('SIGKILL');
    await fleet.fleet.startAgent(cluster);
  }
  fleet.write('eu', { ...OWN, firstPod: 2 });
  await expectPod('eu', OWN.host, 'eu-2');
  fleet.write('us', { ...CROSSING, firstPod: 2 });
  await expectPod('eu', CROSSING.host, 'us-2');
  const second = await writeCertificate();
  await eventually(
    async () => (await serial(OWN.host)) === second,
    () => 'the new certificate is not served',
  );
  expect(Math.max(expiry('eu'), expiry('us'))).toBeLessThan(Date.now());

  await fleet.fleet.restartHub();
  await eventually(
    async () => (await fleet.list('clusters')).every((cluster) => cluster['connected'] === true),
    () => 'a cluster does not come back with its expired certificate',
    65_000,
  );
  await load.stop();
  process.stdout.write(`promise-01: ${load.total} requests, ${load.failures.length} failed\n`);
  expect(load.failures).toEqual([]);
  expect(load.total).toBeGreaterThan(RATE * LIFETIME);
}, 150_000);
