import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { expect, test } from 'vitest';
import { testCa } from '../../haproxy/testing/certificates.fixture.ts';
import type { SecretManifest } from '../../../lib/manifest/manifest.ts';
import { readCertificate } from './certificate.ts';

function secret(certificate: string, key: string): SecretManifest {
  const spec = { type: 'kubernetes.io/tls', certificate, key };
  return { kind: 'Secret', namespace: 'shop', name: 'tls', spec } as unknown as SecretManifest;
}

test('a chain in the wrong order is put right', async () => {
  const ca = await testCa();
  const stranger = await testCa();
  const leaf = await ca.leaf('shop.example');
  const right = readCertificate(secret(leaf.certificate + ca.certificate, leaf.key));
  expect(right).toMatchObject({ dnsNames: ['shop.example'] });
  expect(readCertificate(secret(ca.certificate + leaf.certificate, leaf.key))).toEqual(right);
  const withStranger = readCertificate(secret(stranger.certificate + ca.certificate + leaf.certificate, leaf.key));
  expect(withStranger).toMatchObject({ dnsNames: ['shop.example'] });
  const blocks = 'chain' in withStranger ? withStranger.chain.match(/BEGIN CERTIFICATE/g) : [];
  expect(blocks).toHaveLength(3);
  expect('chain' in withStranger && 'chain' in right && withStranger.chain.startsWith(right.chain)).toBe(true);
});

test('a key that belongs to none of the certificates is refused', async () => {
  const ca = await testCa();
  const [one, other] = [await ca.leaf('a.example'), await ca.leaf('b.example')];
  expect(readCertificate(secret(one.certificate + ca.certificate, other.key))).toMatchObject({
    code: 'HG1004',
    message: 'tls.key matches no certificate of tls.crt',
  });
});

test.each<[string, () => KeyObject]>([
  ['Ed25519', () => generateKeyPairSync('ed25519').privateKey],
  ['Ed448', () => generateKeyPairSync('ed448').privateKey],
  ['secp256k1', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey],
  ['RSA of 1024 bits', () => generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey],
])('a key of the kind %s is refused, with those that serve', async (_kind, make) => {
  const { certificate } = await (await testCa()).leaf('shop.example');
  expect(
    readCertificate(secret(certificate, make().export({ type: 'pkcs8', format: 'pem' }).toString())),
  ).toMatchObject({
    code: 'HG1004',
    message: 'tls.key is neither RSA of 2048 bits or more nor ECDSA on P-256, P-384 or P-521',
    remedy: 'use such a key',
  });
});
