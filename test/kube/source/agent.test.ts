import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ProcessFleet } from '../../../cli/demo/process-fleet.ts';
import { Connection } from '../../bench/fleet/poller.ts';
import { answerAs } from '../ground/answering.ts';
import { KubeGround } from '../ground/kube-ground.ts';
import { endpointSlice, ingress, service } from '../ground/objects.ts';
import { ingressClass } from './followed.fixture.ts';

let ground: KubeGround;
beforeAll(async () => {
  ground = await KubeGround.start({ clusters: ['eu'] });
});
afterAll(async () => await ground[Symbol.asyncDispose]());

test('an Ingress written to the API server is live, and stays so while the API server is away', async () => {
  const eu = ground.cluster('eu');
  const shop = { namespace: 'default', name: 'web' };
  await eu.api.apply(
    ingressClass,
    service(shop),
    endpointSlice({ ...shop, name: 'web-1', service: 'web', port: 8080, endpoints: [{ address: '10.244.0.7' }] }),
  );
  await using pod = await answerAs('pod', '10.244.0.7', 8080);
  await using folder = await mkdtempDisposable(join(tmpdir(), 'hk-'));
  await using fleet = await ProcessFleet.start(folder.path);
  const { http } = await fleet.addCluster('eu', ['--source', 'kubernetes', '--kubeconfig', eu.kubeconfig]);
  using connection = new Connection(http);
  const statusOf = async (host: string): Promise<number> => (await connection.get(host, '/')).status;
  const live = async (host: string, status: number): Promise<void> => {
    while ((await statusOf(host)) !== status) await new Promise(setImmediate);
  };

  expect(await statusOf('shop.example')).toBe(404);
  const written = ingress({ ...shop, host: 'shop.example', service: 'web', ingressClass: 'headgate' });
  await eu.kubectl(['apply', '-f', '-'], JSON.stringify(written));
  await live('shop.example', 200);
  const routes = await fleet.must(['get', 'routes', '-o', 'json']);
  expect(JSON.parse(routes)).toMatchObject({ items: [{ host: 'shop.example' }] });

  await eu.kill();
  expect(await statusOf('shop.example')).toBe(200);
  await eu.resurrect();
  await eu.api.delete(written);
  await live('shop.example', 404);
  expect(pod.port).toBe(8080);
});
