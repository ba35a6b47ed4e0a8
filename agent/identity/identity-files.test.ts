import { X509Certificate } from 'node:crypto';
import { mkdtempDisposable, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Authority } from '../../lib/identity/authority.ts';
import { makeCsr } from '../../lib/identity/key.ts';
import type { Credentials } from '../../proto/gen/headgate/v1/enrolment.ts';
import { IdentityFiles, joinCredentials, type AgentKeys } from './identity-files.ts';

async function answer(keys: AgentKeys): Promise<Credentials> {
  const now = Date.now();
  const [control, gateway] = [
    await Authority.create('Headgate control CA', 'fleet', now),
    await Authority.create('Headgate gateway CA', 'fleet', now),
  ];
  const request = async (key: string) => ({ csr: await makeCsr(key), now, lifetime: 3_600_000 });
  const identity = { kind: 'cluster', fleet: 'fleet', cluster: 'eu' } as const;
  return {
    fleet: 'fleet',
    cluster: 'eu',
    node: 'n1',
    controlCertificate: await control.issueControl(identity, await request(keys.control)),
    controlCa: control.pem.certificate,
    gatewayCertificate: await gateway.issueGateway('eu', await request(keys.gateway)),
    gatewayCa: gateway.pem.certificate,
    issuers: undefined,
  };
}

describe('identity on disk', () => {
  test('keys are the same until they are enrolled, then kept with their certificates, for the owner alone', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'headgate-identity-'));
    const files = new IdentityFiles(folder.path);
    expect(await files.load()).toBeUndefined();
    const keys = await files.pendingKeys('node');
    expect(await new IdentityFiles(folder.path).pendingKeys('node')).toEqual(keys);
    await files.forgetPending();
    expect(await readdir(join(folder.path, 'identity'))).toEqual([]);
    await files.forgetPending();
    const credentials = joinCredentials(await answer(keys), keys);
    expect(credentials.identity).toEqual({ kind: 'cluster', fleet: 'fleet', cluster: 'eu' });
    await files.save(credentials);
    expect(await new IdentityFiles(folder.path).load()).toEqual(credentials);
    expect(await readdir(join(folder.path, 'identity'))).toEqual(['credentials.json']);
    expect((await stat(join(folder.path, 'identity', 'credentials.json'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder.path, 'identity'))).mode & 0o777).toBe(0o700);
    expect(new X509Certificate(credentials.gateway.certificate).subject).toBe('CN=eu.gateway.headgate');
  });

  test('what is damaged is one clear error, and is not overwritten', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'headgate-identity-'));
    const files = new IdentityFiles(folder.path);
    const keys = await files.pendingKeys('node');
    await files.save(joinCredentials(await answer(keys), keys));
    const file = join(folder.path, 'identity', 'credentials.json');
    const text = await readFile(file, 'utf8');
    for (const damaged of ['', '{}', text.slice(0, -10), text.replace('BEGIN CERT', 'BEGIN CART')]) {
      await writeFile(file, damaged);
      await expect(files.load()).rejects.toMatchObject({ code: 'HG2003' });
      expect(await readFile(file, 'utf8')).toBe(damaged);
    }
  });

  test('an answer for other keys or for nobody is refused', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'headgate-identity-'));
    const keys = await new IdentityFiles(folder.path).pendingKeys('node');
    const good = await answer(keys);
    const bad = [
      undefined,
      await answer({ control: keys.gateway, gateway: keys.control }),
      { ...good, controlCertificate: good.gatewayCertificate },
      { ...good, gatewayCertificate: '' },
    ];
    for (const each of bad)
      expect(() => joinCredentials(each, keys)).toThrow(expect.objectContaining({ code: 'HG2005' }));
  });
});
