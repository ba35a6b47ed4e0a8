import { sign, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Authority, defaultLifetimes } from '../../lib/identity/authority.ts';
import { identityOf, isSignedBy } from '../../lib/identity/certificate.ts';
import { makeKeyAndCsr, type KeyAndCsr } from '../../lib/identity/key.ts';
import type { Credentials, RenewRequest } from '../../proto/gen/headgate/v1/enrolment.ts';
import { certificatesFixture, type CertificatesFixture } from './certificates.fixture.ts';

const connection = '127.0.0.1:4711';

interface Enrolled {
  readonly keys: { readonly control: KeyAndCsr; readonly gateway: KeyAndCsr };
  readonly credentials: Credentials;
}

async function enrol(fleet: CertificatesFixture, cluster: string, node?: string): Promise<Enrolled> {
  const token = await fleet.tokens.add(cluster, node === undefined ? 'cluster' : 'node');
  const keys = { control: await makeKeyAndCsr(), gateway: await makeKeyAndCsr() };
  const { credentials } = await fleet.enrolment.enrol({
    token,
    controlCsr: keys.control.csr,
    gatewayCsr: keys.gateway.csr,
    clusterUid: node === undefined ? `uid-of-${cluster}` : '',
    node: node ?? 'n1',
    cluster: '',
    issuers: undefined,
  });
  if (credentials === undefined) throw new Error('no credentials');
  return { keys, credentials };
}

/** A renewal as an honest agent would send it, but for what the test changes. */
async function renewal(
  fleet: CertificatesFixture,
  old: Enrolled,
  change: { readonly key?: string; readonly certificate?: string } = {},
): Promise<RenewRequest> {
  const { nonce } = fleet.enrolment.nonce(connection);
  const [control, gateway] = [await makeKeyAndCsr(), await makeKeyAndCsr()];
  return {
    issuers: undefined,
    oldIssuer: Buffer.alloc(0),
    oldCertificate: new X509Certificate(change.certificate ?? old.credentials.controlCertificate).raw,
    controlCsr: control.csr,
    gatewayCsr: gateway.csr,
    nonce,
    signature: sign(
      'sha256',
      Buffer.concat([nonce, control.csr, gateway.csr]),
      change.key ?? old.keys.control.privateKey,
    ),
  };
}

const serial = (each: Enrolled) => new X509Certificate(each.credentials.controlCertificate).serialNumber;

describe('enrolment', () => {
  test('gives a cluster agent and a node agent what their tokens say', async () => {
    await using fleet = await certificatesFixture();
    const agent = await enrol(fleet, 'eu');
    const control = new X509Certificate(agent.credentials.controlCertificate);
    expect(identityOf(control)).toEqual({ kind: 'cluster', fleet: 'fleet', cluster: 'eu' });
    expect(isSignedBy(control, new X509Certificate(agent.credentials.controlCa))).toBe(true);
    const gateway = new X509Certificate(agent.credentials.gatewayCertificate);
    expect(gateway.subject).toBe('CN=eu.gateway.headgate');
    expect(isSignedBy(gateway, new X509Certificate(agent.credentials.gatewayCa))).toBe(true);
    expect(isSignedBy(gateway, new X509Certificate(agent.credentials.controlCa))).toBe(false);
    const apart = await enrol(fleet, 'eu', 'n2');
    expect(identityOf(new X509Certificate(apart.credentials.controlCertificate))).toEqual({
      kind: 'node',
      fleet: 'fleet',
      cluster: 'eu',
      node: 'n2',
    });
    await expect(enrol(fleet, 'eu', '')).rejects.toMatchObject({ code: 'HG2005' });
    await expect(enrol(fleet, 'eu', 'a/b')).rejects.toMatchObject({ code: 'HG2005' });
  });

  test('renews by the old key, the identity unchanged, once per nonce', async () => {
    await using fleet = await certificatesFixture();
    const agent = await enrol(fleet, 'eu');
    const request = await renewal(fleet, agent);
    await expect(fleet.enrolment.renew(request, '127.0.0.1:9')).rejects.toMatchObject({ code: 'HG2005' });
    const { credentials } = await fleet.enrolment.renew(request, connection);
    const control = new X509Certificate(credentials?.controlCertificate ?? '');
    expect(identityOf(control)).toEqual({ kind: 'cluster', fleet: 'fleet', cluster: 'eu' });
    await expect(fleet.enrolment.renew(request, connection)).rejects.toMatchObject({ code: 'HG2005' });
  });

  test('renews after expiry, until the grace is over', async () => {
    await using fleet = await certificatesFixture();
    const agent = await enrol(fleet, 'eu');
    fleet.advance(defaultLifetimes.control + defaultLifetimes.grace - 60_000);
    await fleet.enrolment.renew(await renewal(fleet, agent), connection);
    fleet.advance(120_000);
    const late = fleet.enrolment.renew(await renewal(fleet, agent), connection);
    await expect(late).rejects.toMatchObject({ code: 'HG2005', message: expect.stringContaining('too long ago') });
  });

  test('refuses every renewal that is not by the holder of a good certificate of this fleet', async () => {
    await using fleet = await certificatesFixture();
    const [agent, rival] = [await enrol(fleet, 'eu'), await enrol(fleet, 'us')];
    const foreign = await Authority.create('Headgate control CA', 'fleet', Date.now());
    const leaf = { csr: agent.keys.control.csr, now: Date.now(), lifetime: 60_000 };
    const honest = await renewal(fleet, agent);
    const other = await makeKeyAndCsr();
    const cluster = { kind: 'cluster', fleet: 'fleet', cluster: 'eu' } as const;
    const { control } = fleet.authority;
    const bad = {
      "another cluster's key": await renewal(fleet, agent, { key: rival.keys.control.privateKey }),
      "the gateway's key": await renewal(fleet, agent, { key: agent.keys.gateway.privateKey }),
      "another fleet's certificate": await renewal(fleet, agent, {
        certificate: await foreign.issueControl(cluster, leaf),
      }),
      'the CA itself': await renewal(fleet, agent, { certificate: fleet.authority.controlCa }),
      'a gateway certificate': await renewal(fleet, agent, { certificate: agent.credentials.gatewayCertificate }),
      "an operator's": await renewal(fleet, agent, {
        certificate: await control.issueOperator('fleet', 'admin', leaf),
      }),
      "a hub's": await renewal(fleet, agent, {
        certificate: await control.issueControl({ kind: 'hub', fleet: 'fleet', id: 'h1' }, leaf),
      }),
      "another fleet's name": await renewal(fleet, agent, {
        certificate: await control.issueControl({ ...cluster, fleet: 'other' }, leaf),
      }),
      'another control CSR': { ...(await renewal(fleet, agent)), controlCsr: other.csr },
      'another gateway CSR': { ...(await renewal(fleet, agent)), gatewayCsr: other.csr },
      'no signature': { ...honest, signature: Buffer.alloc(0) },
      'a huge signature': { ...honest, signature: Buffer.alloc(100_000) },
      'no certificate': { ...honest, oldCertificate: Buffer.alloc(0) },
      'a huge certificate': { ...honest, oldCertificate: Buffer.alloc(100_000) },
      'no nonce': { ...honest, nonce: Buffer.alloc(0) },
      'an own nonce': { ...honest, nonce: Buffer.alloc(56) },
    };
    for (const [name, request] of Object.entries(bad)) {
      const answer = await fleet.enrolment.renew(request, connection).then(
        () => 'accepted',
        (error: unknown) => (error instanceof Error && 'code' in error ? error.code : String(error)),
      );
      expect({ name, answer }).toEqual({ name, answer: 'HG2005' });
    }
    await fleet.enrolment.renew(honest, connection);
  });

  test('a removed cluster renews no more, and comes back with a new token only', async () => {
    await using fleet = await certificatesFixture();
    const agent = await enrol(fleet, 'eu');
    await fleet.tokens.removeCluster('eu', fleet.revocations);
    await expect(fleet.enrolment.renew(await renewal(fleet, agent), connection)).rejects.toMatchObject({
      code: 'HG2005',
    });
    const again = await enrol(fleet, 'eu');
    await fleet.enrolment.renew(await renewal(fleet, again), connection);
    await expect(fleet.enrolment.renew(await renewal(fleet, agent), connection)).rejects.toMatchObject({
      code: 'HG2005',
    });
    const identity = { kind: 'cluster', fleet: 'fleet', cluster: 'eu' } as const;
    expect(fleet.revocations.isRevoked(identity, serial(agent))).toBe(true);
    expect(fleet.revocations.isRevoked(identity, serial(again))).toBe(false);
  });
});
