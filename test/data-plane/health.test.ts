import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, it } from 'vitest';
import { serverName } from '../../agent/haproxy/model/names.ts';
import { keepAliveLoad, PlaneBench, service, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { hungPod } from './hung-pod.ts';

/** Columns of `show stat` for one server, by their names. */
async function statistics(bench: PlaneBench, backend: string, port: number): Promise<Record<string, string>> {
  const [head = '', ...rows] = (await bench.cli('show stat')).split('\n');
  const names = head.replace('# ', '').split(',');
  const row = rows.find((line) => line.startsWith(`${backend},${serverName('127.0.0.1', port)},`)) ?? '';
  return Object.fromEntries(row.split(',').map((value, i) => [names[i], value]));
}

it('a server that checks had failed gets 0 requests from the workers of 3 reloads, and its share when it is back', async () => {
  await using bench = await PlaneBench.make();
  const alive = await bench.upstream('alive');
  await using hung = await hungPod();
  const dead = hung.port;
  await bench.start(service('shop', [alive.port, dead]));
  await until(
    () => statistics(bench, 's0000', dead),
    ({ status }) => status === 'DOWN',
  );

  await using load = keepAliveLoad(bench.http, 'shop.example');
  for (let round = 0; round < 3; round++) {
    const before = await bench.worker();
    const births = Array.from({ length: 64 }, (_, i) => service(`r${round}-${i}`, [alive.port]));
    await bench.apply(births.flat());
    expect(await bench.worker()).not.toBe(before);
    const { requests } = load;
    await until(
      () => Promise.resolve(load.requests),
      (now) => now > requests + 100,
    );
    const seen = await statistics(bench, 's0000', dead);
    expect(seen).toMatchObject({ status: expect.stringMatching(/^DOWN/), lbtot: '0', econ: '0' });
  }
  await load.stop();
  expect(load.failures).toEqual([]);

  await hung.end();
  const back = createServer((_, response) => response.end('back'));
  await once(back.listen(dead, '127.0.0.1'), 'listening');
  try {
    await until(
      () => bench.get('shop.example'),
      ({ body }) => body === 'back',
    );
  } finally {
    back.close();
    back.closeAllConnections();
  }
});
