import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { testCa } from '../../testing/certificates.fixture.ts';
import { backend, endpoints, host } from '../../testing/resources.fixture.ts';
import { fetchAnswer, Rig, testBackend } from '../../testing/rig.fixture.ts';

test('a request that comes back to the entry, by whatever way, ends after a few rounds', async () => {
  let passes = 0;
  let entry = 0;
  // Another node's entry, as it looks from here: an address that is not this node's.
  const detour = createServer((socket) => {
    passes++;
    const back = connect(entry, '127.0.0.1');
    socket.on('error', () => back.destroy());
    back.on('error', () => socket.destroy());
    socket.pipe(back).pipe(socket);
  });
  await once(detour.listen(0, '127.0.0.1'), 'listening');
  await using shop = await testBackend('shop');
  const upserts = [
    host('loop.example', [{ path: '/', at: { eu: 'd/loop/80' } }]),
    backend('d/loop/80'),
    endpoints('d/loop', (detour.address() as AddressInfo).port, ['127.0.0.1']),
    host('shop.example', [{ path: '/', at: { eu: 'd/shop/80' } }]),
    backend('d/shop/80'),
    endpoints('d/shop', shop.port, ['127.0.0.1']),
  ];
  await using rig = await Rig.start('eu', await testCa(), { upserts, removals: [] });
  entry = rig.http;
  const looped = await fetchAnswer({ port: rig.http, headers: { host: 'loop.example' } });
  expect([looped.status, looped.body]).toEqual([508, 'request loop\n']);
  // Checks connect too: one or two in this time.
  expect(passes).toBeGreaterThanOrEqual(8);
  expect(passes).toBeLessThan(16);
  const others = { host: 'shop.example', 'cdn-loop': 'cdn.example; loops=1, front' };
  expect((await fetchAnswer({ port: rig.http, headers: others })).status).toBe(200);
  expect(shop.requests.at(-1)?.headers['cdn-loop']).toBe('cdn.example; loops=1, front, headgate');
  detour.close();
});
