import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestCa, testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { backend, endpoints, host, peer, split } from '../../agent/haproxy/testing/resources.fixture.ts';
import { fetchAnswer, Rig, type TestBackend, testBackend } from '../../agent/haproxy/testing/rig.fixture.ts';

const HOST = 'far.example';

const stack = new AsyncDisposableStack();
let pod: TestBackend;
let ca: TestCa;
let gateway: Rig;

beforeAll(async () => {
  ca = await testCa();
  pod = stack.use(await testBackend('pod'));
  gateway = stack.use(
    await Rig.start('us', ca, {
      upserts: [
        host(HOST, [{ path: '/', at: { us: 'd/pod/80' } }]),
        backend('d/pod/80'),
        endpoints('d/pod', pod.port, ['127.0.0.1']),
        peer('eu', []),
      ],
      removals: [],
    }),
  );
});

afterAll(() => stack.disposeAsync());

/** An entry that takes the gateway for that of this cluster, and asks it whatever its own checks of it say. */
async function entry(cluster: string): Promise<Rig> {
  const eu = await Rig.start('eu', ca, {
    upserts: [
      host(HOST, [{ path: '/', at: { [cluster]: 'd/pod/80' } }]),
      peer(cluster, [gateway.fixed.listeners.gateway]),
      split(HOST, [{ path: '/', shares: [{ cluster, share: 100_000 }] }]),
    ],
    removals: [],
  });
  const server = /^\d+ (p\d\d) \d+ (e-[0-9a-f]{12}) /m.exec(await eu.cli('show servers state'));
  if (server === null) throw new Error('no server of a gateway');
  const name = `${server[1]}/${server[2]}`;
  await eu.cli(`disable health ${name}`);
  await eu.cli(`set server ${name} health up`);
  return eu;
}

// The one goes over HTTP/1.1 without an SNI, the other over HTTP/2 with one.
test.each(['text/plain', 'application/grpc'])('a gateway has to prove its name before it gets %s', async (type) => {
  const headers = { host: HOST, 'content-type': type };
  await using right = await entry('us');
  expect((await fetchAnswer({ port: right.http, path: '/', headers })).status).toBe(200);
  const before = pod.requests.length;
  await using wrong = await entry('ap');
  expect((await fetchAnswer({ port: wrong.http, path: '/', headers })).status).toBe(503);
  expect(await wrong.cli('show stat')).toMatch(/^p\d\d,e-[0-9a-f]{12}(,[^,]*){11},[1-9]/m);
  expect(pod.requests.length).toBe(before);
});
