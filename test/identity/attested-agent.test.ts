import { X509Certificate, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportJWK, SignJWT } from 'jose';
import { expect, test } from 'vitest';

import { issuerPin } from '../../hub/certificates/issuer-pin.ts';
import { hubAudience } from '../../hub/certificates/service-account-tokens.ts';
import { systemClock } from '../../lib/clock.ts';
import { defaultLifetimes } from '../../lib/identity/authority.ts';
import { validity } from '../../lib/identity/certificate.ts';
import { identityFleet } from './fleet.fixture.ts';

const issuer = 'https://eu.test';

test('an agent enrols by its ServiceAccount token, and by a fresh one when it was away too long to renew', async () => {
  await using fleet = await identityFleet({}, { ...defaultLifetimes, control: 1_000, grace: 0 });
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pin = { issuer, serviceAccount: 'headgate/agent', keys: [await exportJWK(publicKey)] };
  await fleet.hub.serviceAccountTokens.pin('eu', issuerPin.parse(pin), []);
  const file = join(fleet.hub.folder, 'token');
  const project = async (jti: string) => {
    const account = { namespace: 'headgate', serviceaccount: { name: 'agent' } };
    const claims = { 'kubernetes.io': account, iss: issuer, aud: hubAudience, jti };
    const token = new SignJWT(claims).setIssuedAt().setExpirationTime('10m').setProtectedHeader({ alg: 'ES256' });
    await writeFile(file, await token.sign(privateKey));
  };
  await project('first');
  const proof = { serviceAccountToken: file, rootSpki: fleet.hub.authority.rootSpki };
  const agent = await fleet.agent({ folder: 'a', join: proof });
  const before = agent.current();
  expect(before.identity).toEqual({ kind: 'cluster', fleet: 'fleet', cluster: 'eu' });
  await agent[Symbol.asyncDispose]();
  const { notAfter } = validity(new X509Certificate(agent.current().control.certificate));
  await systemClock.sleep(Math.max(0, notAfter - Date.now() + 50));
  await project('second');
  const back = await fleet.agent({ folder: 'a', join: proof });
  const events = new EventTarget();
  back.onChange(() => events.dispatchEvent(new Event('renewed')));
  await once(events, 'renewed');
  expect((await fleet.hub.store.range('attested/')).entries).toHaveLength(2);
  expect(back.current().identity).toEqual(before.identity);
  expect(back.current().control.privateKey).not.toBe(before.control.privateKey);
});
