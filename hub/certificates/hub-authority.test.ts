import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { rename } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { defaultLifetimes } from '../../lib/identity/authority.ts';
import { identityOf } from '../../lib/identity/certificate.ts';
import { silentLog } from '../../lib/log.ts';
import { keys } from '../store/keys.ts';
import { certificatesFixture } from './certificates.fixture.ts';
import { HubAuthority } from './hub-authority.ts';

test('hubs over one store agree on the authorities, those that start at once included', async () => {
  await using fleet = await certificatesFixture();
  const { store, folder } = fleet;
  const open = (hubId: string) =>
    HubAuthority.open({ store, kekFile: join(folder, 'kek'), hubId, clock: systemClock, log: silentLog });
  await store.transact({
    operations: [
      { kind: 'delete', key: keys.authority('control') },
      { kind: 'delete', key: keys.authority('gateway') },
    ],
  });
  await using one = await open('h1');
  await using all = new AsyncDisposableStack();
  await store.transact({
    operations: [
      { kind: 'delete', key: keys.authority('control') },
      { kind: 'delete', key: keys.authority('gateway') },
    ],
  });
  const hubs = await Promise.all(['h2', 'h3', 'h4'].map((id) => open(id)));
  for (const hub of hubs) all.use(hub);
  expect(new Set(hubs.map((hub) => hub.rootSpki)).size).toBe(1);
  expect(new Set(hubs.map((hub) => hub.gatewayCa)).size).toBe(1);
  expect(hubs[0]?.rootSpki).not.toBe(one.rootSpki);
  const server = new X509Certificate(hubs[1]?.serverCredentials().certificate ?? '');
  expect(identityOf(server)).toEqual({ kind: 'hub', fleet: 'fleet', id: 'h3' });
});

test('private keys are sealed in the store, and a lost key file is not replaced', async () => {
  await using fleet = await certificatesFixture();
  const { store, folder } = fleet;
  const { entries } = await store.range('authority/');
  expect(entries).toHaveLength(3);
  for (const { value } of entries) expect(Buffer.from(value).toString()).not.toContain('PRIVATE KEY');
  const kekFile = join(folder, 'kek');
  await rename(kekFile, join(folder, 'away'));
  const again = HubAuthority.open({ store, kekFile, clock: systemClock, log: silentLog });
  await expect(again).rejects.toMatchObject({ code: 'HG2003' });
});

test('the hub renews its own certificate', async () => {
  await using fleet = await certificatesFixture({ ...defaultLifetimes, control: 2_000 });
  const { authority } = fleet;
  const before = authority.serverCredentials();
  const events = new EventTarget();
  authority.onServerCredentials(() => events.dispatchEvent(new Event('renewed')));
  await once(events, 'renewed');
  const after = authority.serverCredentials();
  expect(after.certificate).not.toBe(before.certificate);
  expect(after.privateKey).not.toBe(before.privateKey);
  expect(after.certificate.match(/-----BEGIN/g)).toHaveLength(2);
});
