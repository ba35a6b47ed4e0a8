import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { exportJWK, SignJWT, UnsecuredJWT, type JWTPayload } from 'jose';
import { describe, expect, test } from 'vitest';
import { makeKeyAndCsr } from '../../lib/identity/key.ts';
import { certificatesFixture, type CertificatesFixture } from './certificates.fixture.ts';
import { issuerPin, type IssuerPin } from './issuer-pin.ts';
import { hubAudience } from './service-account-tokens.ts';

const issuer = 'https://eu.test';
const serviceAccount = 'headgate/headgate-cluster-agent';
const hour = 3_600;

interface Signer {
  readonly alg: 'RS256' | 'ES256' | 'PS256';
  readonly privateKey: KeyObject;
  readonly jwk: IssuerPin['keys'][number];
}

async function signer(alg: Signer['alg'], kid: string): Promise<Signer> {
  const { privateKey, publicKey } =
    alg === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const jwk = issuerPin.shape.keys.parse([{ ...(await exportJWK(publicKey)), kid }])[0];
  if (jwk === undefined) throw new Error('no key');
  return { alg, privateKey, jwk };
}

const rsa = await signer('RS256', 'rsa');
const ec = await signer('ES256', 'ec');
const stranger = await signer('RS256', 'rsa');

/** As Kubernetes writes it, but for what the test changes. @param now seconds */
function payload(change: JWTPayload = {}, now = Math.floor(Date.now() / 1_000)): JWTPayload {
  return {
    iss: issuer,
    aud: [hubAudience],
    iat: now,
    nbf: now,
    exp: now + 600,
    sub: 'system:serviceaccount:headgate:headgate-cluster-agent',
    'kubernetes.io': { namespace: 'headgate', serviceaccount: { name: 'headgate-cluster-agent', uid: 'u' } },
    ...change,
  };
}

function without(claim: string): JWTPayload {
  return Object.fromEntries(Object.entries(payload()).filter(([name]) => name !== claim));
}

async function signed(by: Signer, claims: JWTPayload, alg: string = by.alg): Promise<string> {
  return await new SignJWT(claims).setProtectedHeader({ alg, kid: by.jwk.kid ?? '' }).sign(by.privateKey);
}

function account(namespace: string, name: string): JWTPayload {
  return { 'kubernetes.io': { namespace, serviceaccount: { name, uid: 'u' } } };
}

async function pinned(): Promise<CertificatesFixture> {
  const fleet = await certificatesFixture();
  await fleet.serviceAccountTokens.pin('eu', { issuer, serviceAccount, keys: [rsa.jwk, ec.jwk] }, []);
  return fleet;
}

async function csrs() {
  return { controlCsr: (await makeKeyAndCsr()).csr, gatewayCsr: (await makeKeyAndCsr()).csr };
}

async function enrol({ enrolment }: CertificatesFixture, token: string, own?: Awaited<ReturnType<typeof csrs>>) {
  const request = { token, cluster: 'eu', clusterUid: 'uid-of-eu', node: 'n1', issuers: undefined };
  return await enrolment.enrol({ ...request, ...(own ?? (await csrs())) });
}

describe('ServiceAccount tokens', () => {
  test.each([rsa, ec])('enrol the agent of the cluster that pinned their keys: $alg', async (by) => {
    await using fleet = await pinned();
    const { credentials } = await enrol(fleet, await signed(by, payload()));
    expect(credentials?.cluster).toBe('eu');
  });

  test('that are not exactly what is pinned are refused, in words that hold nothing of them', async () => {
    await using fleet = await pinned();
    const now = Math.floor(Date.now() / 1_000);
    const good = await signed(rsa, payload());
    const [head = '', body = '', signature = ''] = good.split('.');
    const hmac = `${Buffer.from('{"alg":"HS256","kid":"rsa"}').toString('base64url')}.${body}`;
    const secret = rsa.jwk.kty === 'RSA' ? rsa.jwk.n : '';
    const wrong = {
      'another issuer': await signed(rsa, payload({ iss: 'https://us.test' })),
      'another audience': await signed(rsa, payload({ aud: ['https://kubernetes.default.svc'] })),
      'no audience': await signed(rsa, payload({ aud: [] })),
      'expired beyond all skew': await signed(rsa, payload({ exp: now - hour - 60 })),
      'no expiry': await signed(rsa, without('exp')),
      'not yet good': await signed(rsa, payload({ nbf: now + hour + 60 })),
      'another key of the same id': await signed(stranger, payload()),
      'another ServiceAccount': await signed(rsa, payload(account('headgate', 'default'))),
      'another namespace': await signed(rsa, payload(account('tenant', 'headgate-cluster-agent'))),
      'no Kubernetes claims': await signed(rsa, without('kubernetes.io')),
      'no algorithm': new UnsecuredJWT(payload()).encode(),
      'a secret algorithm by the public key': `${hmac}.${createHmac('sha256', secret).update(hmac).digest('base64url')}`,
      'an algorithm that is not on the list': await signed(rsa, payload(), 'PS256'),
      'another body': `${head}.${Buffer.from(JSON.stringify(payload({ jti: 'x' }))).toString('base64url')}.${signature}`,
      'no signature': `${head}.${body}.`,
      'something else': 'x'.repeat(9_000),
    };
    for (const [name, token] of Object.entries(wrong)) {
      const error: unknown = await enrol(fleet, token).catch((thrown: unknown) => thrown);
      expect({ name, error }).toMatchObject({ name, error: { code: 'HG2004' } });
      expect(String(error)).not.toContain(token.slice(0, 40));
    }
    await expect(enrol(fleet, '')).rejects.toMatchObject({ code: 'HG2004' });
    await expect(
      fleet.enrolment.enrol({
        token: good,
        cluster: 'us',
        clusterUid: 'uid',
        node: 'n1',
        issuers: undefined,
        ...(await csrs()),
      }),
    ).rejects.toMatchObject({ code: 'HG2004' });
    expect((await enrol(fleet, good)).credentials?.cluster).toBe('eu');
  });

  test('are good for the keys of their first use alone while they are valid', async () => {
    await using fleet = await pinned();
    const token = await signed(rsa, payload());
    const own = await csrs();
    await enrol(fleet, token, own);
    await enrol(fleet, token, own);
    await expect(enrol(fleet, token)).rejects.toMatchObject({ code: 'HG2004' });
    // A signature written in another way is the same token.
    const [head = '', body = '', signature = ''] = token.split('.');
    await expect(enrol(fleet, `${head}.${body}.${signature}=`)).rejects.toMatchObject({ code: 'HG2004' });
    fleet.advance((600 + 2 * hour) * 1_000);
    await expect(enrol(fleet, token, own)).rejects.toMatchObject({ code: 'HG2004' });
    await enrol(fleet, await signed(rsa, payload({}, Math.floor(Date.now() / 1_000) + 2 * hour)));
    expect((await fleet.store.range('attested/')).entries).toHaveLength(1);
  });

  test.each([-1, 1])('promise-18 are taken by a hub whose clock is %d h off', async (hours) => {
    await using fleet = await pinned();
    fleet.advance(hours * hour * 1_000);
    expect((await enrol(fleet, await signed(rsa, payload()))).credentials?.cluster).toBe('eu');
  });

  test('of rotated keys are good once those are pinned, and a key is pinned for one cluster alone', async () => {
    await using fleet = await pinned();
    const token = await signed(stranger, payload());
    await expect(enrol(fleet, token)).rejects.toMatchObject({ code: 'HG2004' });
    await fleet.serviceAccountTokens.pin('eu', { issuer, serviceAccount, keys: [stranger.jwk] }, []);
    await enrol(fleet, token);
    await expect(enrol(fleet, await signed(rsa, payload()))).rejects.toMatchObject({ code: 'HG2004' });
    const rival = { issuer, serviceAccount, keys: [stranger.jwk] };
    await expect(fleet.serviceAccountTokens.pin('us', rival, [])).rejects.toMatchObject({ code: 'HG2008' });
  });

  test.each([
    ['no https', { issuer: 'http://eu.test' }],
    ['a private key', { keys: [{ ...rsa.jwk, d: 'x' }] }],
    ['a secret', { keys: [{ kty: 'oct', k: 'x' }] }],
    ['no key', { keys: [] }],
    ['a short key', { keys: [{ kty: 'RSA', n: 'AQAB', e: 'AQAB' }] }],
    ['no namespace', { serviceAccount: 'agent' }],
  ])('are never pinned with %s', (_name, change) => {
    expect(issuerPin.safeParse({ issuer, serviceAccount, keys: [rsa.jwk], ...change }).success).toBe(false);
  });
});
