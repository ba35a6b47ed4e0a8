import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HubAuthority } from '../../hub/certificates/hub-authority.ts';
import { openEtcdStore } from '../../hub/store/etcd/etcd-store.ts';
import type { EtcdSettings } from '../../hub/store/etcd/settings.ts';
import { systemClock as clock } from '../../lib/clock.ts';
import { silentLog as log } from '../../lib/log.ts';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { EtcdGround } from './ground/etcd-ground.ts';
import { rawEtcd } from './ground/raw.ts';

let ground: EtcdGround;
beforeAll(async () => {
  ground = await EtcdGround.start();
});
afterAll(async () => await ground[Symbol.asyncDispose]());

const failure = async (settings: EtcdSettings): Promise<unknown> =>
  await openEtcdStore({ settings, clock, log }).catch((error: unknown) => error);

async function put(key: string, value: string): Promise<void> {
  const etcd = rawEtcd(await ground.settings());
  await etcd.put(key).value(value);
  etcd.close();
}

describe('a hub says in one error what is wrong with its store', () => {
  test('a prefix with another program’s keys is left as it is', async () => {
    await put('/other/registry/pods', 'x');
    expect(await failure(await ground.settings('/other/'))).toMatchObject({
      code: 'HG2003',
      message: expect.stringContaining('holds keys that are not Headgate'),
    });
  });

  test('a newer version’s store, and marks that are damaged', async () => {
    await put('/newer/meta/format', JSON.stringify({ headgate: 'store', format: 99 }));
    expect(await failure(await ground.settings('/newer/'))).toMatchObject({
      code: 'HG2003',
      message: expect.stringContaining('newer Headgate'),
    });
    await put('/corrupt/meta/format', '{');
    expect(await failure(await ground.settings('/corrupt/'))).toMatchObject({ code: 'HG4003' });
  });

  test('an etcd that is not there, within 5 s', async () => {
    const started = performance.now();
    const settings = { urls: ['http://127.0.0.1:1'], prefix: '/x/' };
    expect(await failure(settings)).toMatchObject({
      code: 'HG4001',
      message: expect.stringContaining('not reachable'),
    });
    expect(performance.now() - started).toBeLessThan(6_000);
  });

  test('a wrong password, and a user who may not', async () => {
    await using locked = await EtcdGround.start();
    const settings = await locked.settings();
    const etcd = rawEtcd(settings);
    const root = await etcd
      .role('root')
      .create()
      .catch(() => etcd.role('root'));
    await (await etcd.user('root').create('right')).addRole(root);
    await etcd.user('nobody').create('right');
    await etcd.auth.authEnable();
    etcd.close();
    const as = (name: string, password: string): EtcdSettings => ({ ...settings, user: { name, password } });
    await using store = await openEtcdStore({ settings: as('root', 'right'), clock, log });
    expect((await store.epoch()).counter).toBe(1n);
    expect(await failure(as('root', 'wrong'))).toMatchObject({ code: 'HG2005' });
    expect(await failure(as('nobody', 'right'))).toMatchObject({ code: 'HG2006' });
  });
});

test('promise-26 keys are sealed: what etcd has on disk holds no private key', async () => {
  const kekFile = join(ground.folder, 'kek.key');
  await writeFile(kekFile, `${createHash('sha256').update('kek').digest('base64')}\n`, { mode: 0o600 });
  await using store = await ground.open('/sealed/');
  await using authority = await HubAuthority.open({ store, kekFile, clock, log });
  expect(authority.controlCa).toContain('BEGIN CERTIFICATE');
  const { entries } = await store.range('authority/');
  expect(entries).toHaveLength(3);
  const values = Buffer.concat(entries.map(({ value }) => Buffer.from(value))).toString();
  expect(values).toContain('BEGIN CERTIFICATE');
  expect(values).not.toContain('PRIVATE KEY');
  expect(values).not.toContain(Buffer.from('-----BEGIN PRIVATE KEY').toString('base64').slice(0, 24));
  const disk = await ground.disk();
  expect(disk.includes('PRIVATE KEY')).toBe(false);
  expect(disk.includes(Buffer.from('-----BEGIN PRIVATE KEY').toString('base64').slice(0, 24))).toBe(false);
});
