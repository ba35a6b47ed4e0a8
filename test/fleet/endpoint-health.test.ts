import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { endpointSlice, ingress, service } from '../../cli/demo/manifests.ts';
import type { StatusResponse } from '../../hub/api/types.ts';
import { eventually, TestFleet, trafficPolicy } from './fleet.fixture.ts';

const HOST = 'shop.example';

let fleet: TestFleet;
let pod: Server | undefined;
let port: number;

async function startPod(at: number): Promise<void> {
  const server = createServer((_, response) => response.end('{}'));
  pod = server;
  await once(server.listen(at, '127.0.0.1'), 'listening');
  port = (server.address() as AddressInfo).port;
}

async function stopPod(): Promise<void> {
  const server = pod;
  if (server === undefined) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/** `eu` has a pod of the fleet and the one that the test starts and stops. */
beforeAll(async () => {
  fleet = await TestFleet.start(['eu', 'us'], 1);
  await startPod(0);
  const slices = [
    endpointSlice('shop', 'app', 'steady', fleet.pods.ports.get('eu-1') ?? 0),
    endpointSlice('shop', 'app', 'failing', port),
  ];
  const text = `${ingress('shop', 'app', HOST)}${service('shop', 'app')}${slices.join('')}`;
  fleet.fleet.folder('eu').write('shop.yaml', text);
  fleet.write('us', { namespace: 'shop', host: HOST });
  const check = 'healthCheck: { type: TCP, interval: 200ms, rise: 2, fall: 2 }';
  await fleet.apply(trafficPolicy('shop', check));
  await expectLive('eu 2/2, us 1/1');
});
afterAll(async () => {
  pod?.closeAllConnections();
  pod?.close();
  await fleet?.[Symbol.asyncDispose]();
});

/** `<cluster> <live>/<ready>` of the route's contributions. */
async function expectLive(wanted: string): Promise<void> {
  let last = '';
  await eventually(
    async () => {
      const { clusters } = await fleet.explain('eu', `http://${HOST}/`);
      last = clusters
        .map(({ cluster, ready, live }) => `${cluster} ${live}/${ready}`)
        .sort()
        .join(', ');
      return last === wanted;
    },
    () => `explain says ${last}, wanted ${wanted}`,
  );
}

async function status(): Promise<StatusResponse> {
  return JSON.parse(await fleet.fleet.must(['status', '-o', 'json'])) as StatusResponse;
}

test('an endpoint whose check fails at a node is told until it recovers', async () => {
  const [node] = (await fleet.list('nodes')).filter(({ cluster }) => cluster === 'eu');
  expect((await status()).attention).toEqual([]);
  await stopPod();
  await expectLive('eu 1/2, us 1/1');

  const { attention, clusters } = await status();
  expect(attention).toMatchObject([
    {
      severity: 'Warning',
      code: 'HG5007',
      cluster: 'eu',
      kind: 'Service',
      namespace: 'shop',
      name: 'app',
      message: `HAProxy finds 1 of 2 ready endpoints live at 1 of 1 nodes (${String(node?.['name'])})`,
    },
  ]);
  expect(clusters.map(({ name, problems }) => `${name} ${problems}`)).toEqual(['eu 1', 'us 0']);
  expect(await fleet.fleet.must(['explain', HOST, '--cluster', 'eu'])).toContain('2 ready, 1 live');
  expect(await fleet.fleet.must(['get', 'routes', '-o', 'wide'])).toContain('eu:1 us:1');
  expect(await fleet.fleet.must(['describe', 'cluster', 'eu'])).toContain('Endpoints out');
  // It is information only.
  await fleet.expectSplit('eu', HOST, { eu: 100_000 });

  await startPod(port);
  await expectLive('eu 2/2, us 1/1');
  expect((await status()).attention).toEqual([]);
});

test('so is a backend without any, which other clusters serve, and what its agent said goes with the endpoint', async () => {
  fleet.fleet
    .folder('eu')
    .write(
      'shop.yaml',
      `${ingress('shop', 'app', HOST)}${service('shop', 'app')}${endpointSlice('shop', 'app', 'failing', port)}`,
    );
  await expectLive('eu 1/1, us 1/1');
  await stopPod();
  await expectLive('eu 0/1, us 1/1');
  expect((await status()).attention).toMatchObject([{ severity: 'Error', code: 'HG5007', cluster: 'eu' }]);
  await fleet.expectShares('eu', HOST, { us: 1 }, 20);

  fleet.write('eu', { namespace: 'shop', host: HOST });
  fleet.fleet.folder('eu').remove('shop.yaml');
  await eventually(
    async () => (await status()).attention.length === 0,
    () => 'status still names endpoints',
  );
});
