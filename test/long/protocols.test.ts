import { once } from 'node:events';
import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { bodyPod, download, memory, sizeOf, upload } from '../protocols/bodies.fixture.ts';
import { TwoRigs, ways } from '../protocols/two-rigs.fixture.ts';
import { figure } from '../safety/figure.ts';

const SIZE = 1 << 30;

test.each(ways)('1 GiB up and down stream through HAProxy, whose memory stays flat, %s', async (way) => {
  await using pod = await bodyPod();
  await using rigs = await TwoRigs.start({ port: pod.port });
  await upload(rigs, way, 1000);
  const before = await memory(rigs.eu);
  expect(await upload(rigs, way, SIZE)).toBe(SIZE);
  expect(await sizeOf(await download(rigs, way, SIZE))).toBe(SIZE);
  const grown = (await memory(rigs.eu)) - before;
  figure(`${way}: 1 GiB each way, HAProxy grew by ${grown.toFixed(1)} MiB`);
  expect(grown).toBeLessThan(8);
});

test.each(ways)('an event stream outlives silence longer than keep-alive, %s', async (host) => {
  let stream: ServerResponse | undefined;
  const pod = createServer((_request, response) => {
    stream = response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
  });
  await once(pod.listen(0, '127.0.0.1'), 'listening');
  await using rigs = await TwoRigs.start({ port: (pod.address() as AddressInfo).port });
  const request = httpRequest({ host: '127.0.0.1', port: rigs.eu.http, agent: false, headers: { host } });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  await systemClock.sleep(35_000);
  stream?.write('data: late\n\n');
  const [got] = (await once(response, 'data')) as [Buffer];
  expect(got.toString()).toBe('data: late\n\n');
  response.destroy();
  pod.closeAllConnections();
  await new Promise((resolve) => pod.close(resolve));
});
