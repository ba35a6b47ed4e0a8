import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Authority, backdate, csrKeysHash, defaultLifetimes, gatewayName } from './authority.ts';
import { identityOf, isSignedBy, spkiHash, validity } from './certificate.ts';
import { greedyCsr } from './greedy-csr.fixture.ts';
import { makeCsr, makeKey, makeKeyAndCsr } from './key.ts';
import { x509 } from './x509.ts';

const now = Date.UTC(2026, 10, 1);
const lifetime = defaultLifetimes.control;

describe('authority', () => {
  test('issues a control leaf whose only name is its identity', async () => {
    const authority = await Authority.create('Headgate control CA', 'fleet', now);
    const { csr, privateKey } = await makeKeyAndCsr();
    const identity = { kind: 'cluster', fleet: 'fleet', cluster: 'eu' } as const;
    const leaf = new X509Certificate(await authority.issueControl(identity, { csr, now, lifetime }));
    expect(identityOf(leaf)).toEqual(identity);
    expect(leaf.ca).toBe(false);
    expect(leaf.checkPrivateKey(createPrivateKey(privateKey))).toBe(true);
    expect(isSignedBy(leaf, authority.certificate)).toBe(true);
    expect(isSignedBy(authority.certificate, leaf)).toBe(false);
    expect(validity(leaf)).toEqual({ notBefore: now - backdate, notAfter: now + lifetime });
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  });

  test('ignores every name and right that a request asks for', async () => {
    const authority = await Authority.create('Headgate control CA', 'fleet', now);
    const request = { csr: await greedyCsr(), now, lifetime };
    const identity = { kind: 'node', fleet: 'fleet', cluster: 'eu', node: 'n1' } as const;
    const control = new X509Certificate(await authority.issueControl(identity, request));
    expect(identityOf(control)).toEqual(identity);
    expect(control.ca).toBe(false);
    const gateway = new X509Certificate(await authority.issueGateway('eu', request));
    expect(gateway.subject).toBe('CN=eu.gateway.headgate');
    expect(gateway.subjectAltName).toBe('DNS:eu.gateway.headgate');
    expect(identityOf(gateway)).toBeUndefined();
  });

  test('names the gateway of a cluster with the longest name', async () => {
    const authority = await Authority.create('Headgate gateway CA', 'fleet', now);
    const cluster = 'c'.repeat(63);
    const { csr } = await makeKeyAndCsr();
    const leaf = new X509Certificate(await authority.issueGateway(cluster, { csr, now, lifetime }));
    expect(leaf.checkHost(gatewayName(cluster))).toBe(gatewayName(cluster));
  });

  test('an operator certificate is no identity', async () => {
    const authority = await Authority.create('Headgate control CA', 'fleet', now);
    const { csr } = await makeKeyAndCsr();
    const leaf = new X509Certificate(await authority.issueOperator('fleet', 'admin', { csr, now, lifetime }));
    expect(identityOf(leaf)).toBeUndefined();
    expect(leaf.subjectAltName).toBe('URI:spiffe://fleet/operator/admin');
  });

  test('loads again, and tells its own leaves from those of another root with the same name', async () => {
    const authority = await Authority.create('Headgate control CA', 'fleet', now);
    const again = await Authority.load(authority.pem);
    const other = await Authority.create('Headgate control CA', 'fleet', now);
    const { csr } = await makeKeyAndCsr();
    const identity = { kind: 'hub', fleet: 'fleet', id: 'h1' } as const;
    const leaf = new X509Certificate(await again.issueControl(identity, { csr, now, lifetime }));
    expect(isSignedBy(leaf, authority.certificate)).toBe(true);
    expect(isSignedBy(leaf, other.certificate)).toBe(false);
    expect(spkiHash(again.certificate)).toBe(spkiHash(authority.certificate));
    expect(spkiHash(other.certificate)).not.toBe(spkiHash(authority.certificate));
    expect((authority.pem.certificate + other.pem.certificate).match(/-----BEGIN/g)).toHaveLength(2);
  });

  test('refuses requests that are malformed, tampered with, too large or of another kind of key', async () => {
    const authority = await Authority.create('Headgate control CA', 'fleet', now);
    const { csr } = await makeKeyAndCsr();
    const tampered = Buffer.from(csr);
    tampered[tampered.length - 3] = (tampered[tampered.length - 3] ?? 0) ^ 1;
    const rsa = await webcrypto.subtle.generateKey(
      { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2_048, publicExponent: new Uint8Array([1, 0, 1]) },
      true,
      ['sign', 'verify'],
    );
    const rsaCsr = await x509.Pkcs10CertificateRequestGenerator.create({
      keys: rsa,
      signingAlgorithm: rsa.publicKey.algorithm,
    });
    const bad = [
      Buffer.alloc(0),
      Buffer.alloc(5_000),
      Buffer.from('30', 'hex'),
      csr.subarray(0, 100),
      tampered,
      Buffer.from(rsaCsr.rawData),
    ];
    for (const request of bad) {
      await expect(authority.issueGateway('eu', { csr: request, now, lifetime })).rejects.toMatchObject({
        code: 'HG2005',
      });
    }
  });

  test('names requests by their keys, not by their bytes', async () => {
    const [one, two] = [await makeKey(), await makeKey()];
    const first = await csrKeysHash([await makeCsr(one), await makeCsr(two)]);
    expect(await csrKeysHash([await makeCsr(one), await makeCsr(two)])).toBe(first);
    expect(await csrKeysHash([await makeCsr(two), await makeCsr(one)])).not.toBe(first);
  });
});
