import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startHub } from '../hub/running-hub.fixture.ts';
import { EtcdGround } from './ground/etcd-ground.ts';

test('a hub on etcd serves, and another in its place has the same fleet', async () => {
  await using ground = await EtcdGround.start({ tls: true });
  const kekFile = join(ground.folder, 'kek.key');
  const options = { store: { kind: 'etcd', settings: await ground.settings() }, kekFile } as const;
  // Nobody makes the key: two hubs would make two.
  await expect(startHub(options)).rejects.toMatchObject({ code: 'HG2003' });
  await writeFile(kekFile, `${createHash('sha256').update('kek').digest('base64')}\n`, { mode: 0o600 });
  {
    await using first = await startHub(options);
    await first.client.call('POST', '/v1/clusters', { body: { name: 'eu' } });
  }
  await using second = await startHub(options);
  const { items } = await second.client.call<{ items: { name: string }[] }>('GET', '/v1/get/clusters');
  expect(items.map(({ name }) => name)).toEqual(['eu']);
});
