import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { host, split } from '../../agent/haproxy/testing/resources.fixture.ts';
import { fetchAnswer } from '../../agent/haproxy/testing/rig.fixture.ts';
import { type StrictBackend, strictBackend, valuesOf } from '../safety/strict-backend.ts';
import { TwoRigs, type Way, ways } from './two-rigs.fixture.ts';

const HOP = '127.0.0.2';
const STRANGER = '127.0.0.3';

const stack = new AsyncDisposableStack();
let pod: StrictBackend;
let plain: TwoRigs;
let proxied: TwoRigs;

beforeAll(async () => {
  pod = stack.use(await strictBackend());
  // The middle of three proxies; the first is a whole network.
  const trustedHops = [`${HOP}/32`, '10.0.0.0/8', '2001:db8::/32'];
  plain = stack.use(await TwoRigs.start({ port: pod.port, listeners: { trustedHops } }));
  proxied = stack.use(await TwoRigs.start({ port: pod.port, listeners: { trustedHops, proxyProtocol: true } }));
});

afterAll(() => stack.disposeAsync());

/** Sends bytes from an address of its own. @returns everything until the peer closes */
async function send(port: number, from: string, bytes: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from });
  let text = '';
  try {
    await once(socket, 'connect');
    socket.write(bytes);
    for await (const chunk of socket) text += String(chunk);
  } catch {
    // A reset is an end as well.
  }
  return text;
}

function request(host: Way, headers: readonly string[] = [], last = true): string {
  const lines = [`Host: ${host}`, ...headers, ...(last ? ['Connection: close'] : [])];
  return `GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}

/** X-Forwarded-For as the pod saw it in each request since the last call. */
function told(): string[] {
  return pod.take().requests.map((one) => valuesOf(one, 'x-forwarded-for').join(' | '));
}

test.each(ways)('a trusted hop’s chain is kept and extended, nobody else’s, %s', async (way) => {
  const claim = ['X-Forwarded-For: 192.0.2.1, 198.51.100.7'];
  await send(plain.eu.http, HOP, request(way, claim));
  await send(plain.eu.http, STRANGER, request(way, claim));
  await send(plain.eu.http, HOP, request(way));
  await send(plain.eu.http, HOP, request(way, [...claim, 'X-Forwarded-For: 203.0.113.9']));
  expect(told()).toEqual([
    `192.0.2.1, 198.51.100.7, ${HOP}`,
    STRANGER,
    HOP,
    `192.0.2.1, 198.51.100.7 | 203.0.113.9 | ${HOP}`,
  ]);
});

test.each(ways)('scheme, host and port are a trusted hop’s to say, the rest is nobody’s, %s', async (way) => {
  const claims = [
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: shop.example',
    'X-Forwarded-Port: 443',
    'X-Forwarded-Server: spoof',
    'X_Forwarded_For: spoof',
    'X-Forwarded_Proto: spoof',
    'X-Forwarded: spoof',
    'X-Real-IP: spoof',
    'Forwarded: for=spoof',
    'X-Headgate-Route: spoof',
    'X-Headgate-Client: 192.0.2.66',
  ];
  for (const from of [HOP, STRANGER]) await send(plain.eu.http, from, request(way, claims));
  const seen = pod.take().requests;
  expect(JSON.stringify(seen)).not.toMatch(/spoof|192\.0\.2\.66/);
  const of = (name: string) => seen.map((one) => valuesOf(one, name).join());
  expect(of('x-forwarded-proto')).toEqual(['https', 'http']);
  expect(of('x-forwarded-host')).toEqual(['shop.example', way]);
  expect(of('x-forwarded-port')).toEqual(['443', String(plain.eu.http)]);
});

test('the cookie of affinity is Secure where the client speaks TLS, be it with a trusted hop', async () => {
  const shares = [{ cluster: 'eu', share: 100_000 }];
  await plain.eu.apply({
    upserts: [
      host('sticky.example', [{ path: '/', at: { eu: 'd/pod/80' } }]),
      split('sticky.example', [{ path: '/', shares, affinity: true, sticky: ['eu'] }]),
    ],
    removals: [],
  });
  const secure = async (from: string, proto: readonly string[]) => {
    const lines = ['Host: sticky.example', ...proto.map((one) => `X-Forwarded-Proto: ${one}`), 'Connection: close'];
    const answer = await send(plain.eu.http, from, `GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    return (
      /^set-cookie: headgate=\S+; Path=\/; HttpOnly; SameSite=Lax(; Secure)?\r$/im.exec(answer)?.[1] === '; Secure'
    );
  };
  expect(await secure(HOP, ['https'])).toBe(true);
  expect(await secure(HOP, ['http'])).toBe(false);
  expect(await secure(HOP, [])).toBe(false);
  expect(await secure(STRANGER, ['https'])).toBe(false);
  const overTls = await fetchAnswer({ port: plain.eu.https, tls: true, headers: { host: 'sticky.example' } });
  expect(String(overTls.headers['set-cookie'])).toContain('; Secure');
  pod.take();
});

test('a request on a connection says nothing of the next', async () => {
  const two = request('near.example', ['X-Forwarded-For: 192.0.2.1'], false) + request('near.example');
  await send(plain.eu.http, HOP, two);
  expect(told()).toEqual([`192.0.2.1, ${HOP}`, HOP]);
});

test('with PROXY protocol its word is a trusted hop’s alone', async () => {
  const header = 'PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n';
  for (const from of [HOP, STRANGER]) await send(proxied.eu.http, from, header + request('near.example'));
  // A hop behind a hop: the first speaks PROXY, the second is in the list too and speaks HTTP.
  const behind = 'PROXY TCP4 10.1.2.3 192.0.2.2 5000 80\r\n';
  await send(proxied.eu.http, HOP, behind + request('near.example', ['X-Forwarded-For: 198.51.100.7']));
  expect(told()).toEqual(['192.0.2.1', '198.51.100.7, 10.1.2.3']);
});
