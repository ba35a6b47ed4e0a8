import { once } from 'node:events';
import { request as httpsRequest } from 'node:https';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestCa, testCa } from '../testing/certificates.fixture.ts';
import { Pods } from '../testing/pods.fixture.ts';
import { backend, certificate, endpoints, host, peer, split } from '../testing/resources.fixture.ts';
import { fetchAnswer, Rig, testBackend } from '../testing/rig.fixture.ts';

let ca: TestCa;
/** The pods' own: HAProxy knows nothing of it. */
let podCa: TestCa;
let rig: Rig;
let pods: Pods;
const ports: Record<string, number> = {};
const stack = new AsyncDisposableStack();

const passed = (name: string, at: Record<string, string>) =>
  host(name, [{ path: '/', at, settings: { passthrough: true } }]);

beforeAll(async () => {
  [ca, podCa] = await Promise.all([testCa(), testCa()]);
  pods = stack.use(new Pods());
  const leaf = await podCa.leaf('pod', ['pod.example', '*.wild.example', 'other.example']);
  ports['one'] = await pods.tls(leaf);
  ports['two'] = await pods.tls(await podCa.leaf('second', ['pod.example']));
  const plain = stack.use(await testBackend('plain'));
  rig = stack.use(
    await Rig.start(
      'eu',
      ca,
      {
        upserts: [
          passed('pod.example', { eu: 'd/pod/80' }),
          backend('d/pod/80'),
          endpoints('d/pod', ports['one'], ['127.0.0.1']),
          host('plain.example', [{ path: '/', at: { eu: 'd/plain/80' } }]),
          host('exact.wild.example', [{ path: '/', at: { eu: 'd/plain/80' } }]),
          backend('d/plain/80'),
          endpoints('d/plain', plain.port, ['127.0.0.1']),
          certificate(
            'd/tls',
            ['plain.example', 'exact.wild.example'],
            await ca.leaf('plain.example', ['plain.example', 'exact.wild.example']),
          ),
          peer('us', ['127.0.0.1:1']),
        ],
        removals: [],
      },
      { tlsPassthrough: true },
    ),
  );
});

afterAll(async () => await stack.disposeAsync());

/** Closed, or shown a certificate of another's making. */
const UNSERVED = /socket hang up|ECONNRESET|disconnected|certificate/;

/** What the server says, its certificate judged by the CA that must have made it. */
async function ask(servername: string, authority: TestCa): Promise<string> {
  const request = httpsRequest({
    host: '127.0.0.1',
    port: rig.https,
    servername,
    ca: authority.certificate,
    agent: false,
    headers: { host: servername },
  });
  request.end();
  const [response] = (await once(request, 'response')) as [AsyncIterable<Buffer> & { statusCode?: number }];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return `${String(response.statusCode)} ${body}`;
}

async function ends(socket: Socket): Promise<string> {
  let text = '';
  try {
    for await (const chunk of socket) text += String(chunk);
  } catch {
    // A reset ends it as well.
  }
  return text;
}

test('a client sees the pod’s own certificate, over HTTP/1.1 and HTTP/2', async () => {
  expect(await ask('pod.example', podCa)).toBe('200 pod.example HTTP/1.1');
  const session = connectHttp2('https://pod.example', {
    createConnection: () =>
      connectTls({
        port: rig.https,
        host: '127.0.0.1',
        servername: 'pod.example',
        ca: podCa.certificate,
        ALPNProtocols: ['h2'],
      }),
  });
  const stream = session.request({ ':path': '/' });
  let body = '';
  for await (const chunk of stream) body += String(chunk);
  session.close();
  expect(body).toBe('pod.example HTTP/2.0');
});

test('other hosts still end here', async () => {
  expect(await ask('plain.example', ca)).toBe('200 plain');
});

test('endpoints change at runtime', async () => {
  await rig.apply({ upserts: [endpoints('d/pod', ports['two'] ?? 0, ['127.0.0.1'])], removals: [] });
  expect(await ask('pod.example', podCa)).toBe('200 pod.example HTTP/1.1');
  await rig.apply({ upserts: [endpoints('d/pod', ports['two'] ?? 0, [])], removals: [] });
  await expect(ask('pod.example', podCa)).rejects.toThrow(UNSERVED);
  await rig.apply({ upserts: [endpoints('d/pod', ports['one'] ?? 0, ['127.0.0.1'])], removals: [] });
  expect(await ask('pod.example', podCa)).toBe('200 pod.example HTTP/1.1');
});

test('a wildcard passes what no more specific host has', async () => {
  await rig.apply({ upserts: [passed('*.wild.example', { eu: 'd/pod/80' })], removals: [] });
  expect(await ask('a.wild.example', podCa)).toBe('200 a.wild.example HTTP/1.1');
  expect(await ask('exact.wild.example', ca)).toBe('200 plain');
  await expect(ask('b.a.wild.example', podCa)).rejects.toThrow(UNSERVED);
  await rig.apply({ upserts: [], removals: [{ type: 'host', name: '*.wild.example' }] });
  await expect(ask('a.wild.example', podCa)).rejects.toThrow(UNSERVED);
});

test('a host without endpoints of this cluster’s own is closed at once, whatever its split', async () => {
  const away = passed('other.example', { us: 'd/pod/80' });
  const elsewhere = split('other.example', [{ path: '/', shares: [{ cluster: 'us', share: 100_000 }] }]);
  await rig.apply({ upserts: [away, elsewhere], removals: [] });
  const began = performance.now();
  await expect(ask('other.example', podCa)).rejects.toThrow(UNSERVED);
  expect(performance.now() - began).toBeLessThan(4_000);
});

test('plain HTTP is sent to HTTPS; a connection for another name is not for it', async () => {
  const plain = await rig.get('pod.example', '/a?b=c');
  expect([plain.status, plain.headers.location]).toEqual([308, 'https://pod.example/a?b=c']);
  const mixed = await fetchAnswer({
    port: rig.https,
    tls: true,
    path: '/',
    servername: 'plain.example',
    headers: { host: 'pod.example' },
  });
  expect(mixed.status).toBe(421);
});

test('a host turns from one to the other at runtime', async () => {
  await rig.apply({ upserts: [host('pod.example', [{ path: '/', at: { eu: 'd/plain/80' } }])], removals: [] });
  expect((await rig.get('pod.example', '/')).body).toBe('plain');
  expect(await rig.cli('show map maps/passthrough.map')).not.toContain('pod.example');
  await rig.apply({ upserts: [passed('pod.example', { eu: 'd/pod/80' })], removals: [] });
  expect(await ask('pod.example', podCa)).toBe('200 pod.example HTTP/1.1');
});

test('the name is found in a ClientHello that comes byte by byte', async () => {
  const raw = connect(rig.https, '127.0.0.1');
  raw.setNoDelay(true);
  await once(raw, 'connect');
  const { Duplex } = await import('node:stream');
  let first = true;
  const dripping = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      if (!first) {
        raw.write(chunk, done);
        return;
      }
      first = false;
      const parts = [1, 4, 5, 20, 60, 100, 150, 200, chunk.length];
      let from = 0;
      const next = (): void => {
        const to = parts.shift();
        if (to === undefined) return done();
        raw.write(chunk.subarray(from, to));
        from = Math.max(from, to);
        setTimeout(next, 15);
      };
      next();
    },
    final(done) {
      raw.end(done);
    },
  });
  raw.on('data', (chunk: Buffer) => dripping.push(chunk));
  raw.on('end', () => dripping.push(null));
  const tls = connectTls({ socket: dripping, servername: 'pod.example', ca: podCa.certificate });
  await once(tls, 'secureConnect');
  expect(tls.getPeerCertificate().subject.CN).toBe('pod');
  tls.destroy();
  raw.destroy();
});

test('without SNI a client gets the default certificate; what is no TLS is closed', async () => {
  const nameless = connectTls({ port: rig.https, host: '127.0.0.1', rejectUnauthorized: false });
  await once(nameless, 'secureConnect');
  expect(nameless.getPeerCertificate().subject.CN).toBe('default.headgate.invalid');
  nameless.destroy();
  const garbage = connect(rig.https, '127.0.0.1');
  garbage.write('GET / HTTP/1.1\r\nHost: pod.example\r\n\r\n');
  expect(await ends(garbage)).toBe('');
});

test('an agent without the flag refuses the host by name and says how to mend it', async () => {
  await using other = await Rig.start('eu', ca, { upserts: [], removals: [] });
  const { rejections } = other.planner.apply({ upserts: [passed('pod.example', { eu: 'd/pod/80' })], removals: [] });
  expect(rejections).toMatchObject([{ key: { type: 'host', name: 'pod.example' }, code: 'HG1010' }]);
  expect(rejections[0]?.message).toContain('--tls-passthrough');
});
