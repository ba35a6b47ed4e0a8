import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ProxyProtocol } from '../../proto/gen/headgate/v1/configured.ts';
import { exchangeBytes } from '../safety/raw-client.ts';
import { type StrictBackend, strictBackend, valuesOf } from '../safety/strict-backend.ts';
import { TwoRigs, type Way, ways } from './two-rigs.fixture.ts';

const CLIENT = '127.0.0.5';
const stack = new AsyncDisposableStack();
let pod: StrictBackend;
/** Asks for a PROXY header, and notes its line and what came behind it. */
let proxied: Server;
const heads: string[] = [];

beforeAll(async () => {
  pod = stack.use(await strictBackend());
  proxied = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      // Checks say LOCAL or nothing of a request.
      if (!/^PROXY TCP[46] /.test(text)) return;
      const line = text.slice(0, text.indexOf('\r\n'));
      const rest = text.slice(line.length + 2);
      if (rest === '') return;
      heads.push(
        `${line.split(' ').slice(0, 3).join(' ')} ${rest.startsWith('\x16') ? 'TLS' : (rest.split(' ')[0] ?? '')}`,
      );
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
    });
  });
  await once(proxied.listen(0, '127.0.0.1'), 'listening');
  stack.defer(async () => {
    await new Promise((resolve) => proxied.close(resolve));
  });
});

afterAll(() => stack.disposeAsync());

const request = (host: Way) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

/** A PROXY header of version 2 over TCP: signature, version and command, family, length, addresses, ports. */
function version2(address: string): string {
  const v6 = address.includes(':');
  const source = v6
    ? Buffer.from('20010db8000000000000000000000007', 'hex')
    : Buffer.from(address.split('.').map(Number));
  const addresses = Buffer.concat([source, Buffer.alloc(source.length, 1), Buffer.from([0x13, 0x88, 0x00, 0x50])]);
  const head = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21]);
  return Buffer.concat([head, Buffer.from([v6 ? 0x21 : 0x11, 0, addresses.length]), addresses]).toString('latin1');
}

test('PROXY protocol in, both versions and families; a client without it is refused', async () => {
  await using rigs = await TwoRigs.start({ port: pod.port, listeners: { proxyProtocol: true } });
  for (const way of ways) {
    for (const [head, address] of [
      ['PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n', '192.0.2.7'],
      ['PROXY TCP6 2001:db8::7 2001:db8::1 5000 80\r\n', '2001:db8::7'],
      [version2('192.0.2.7'), '192.0.2.7'],
      [version2('2001:db8::7'), '2001:db8::7'],
    ] as const) {
      expect(await exchangeBytes(rigs.eu.http, head + request(way))).toMatch(/^HTTP\/1.1 200/);
      expect(pod.take().requests.map((one) => valuesOf(one, 'x-forwarded-for'))).toEqual([[address]]);
    }
    // Closed, with or without a reset.
    expect(await exchangeBytes(rigs.eu.http, request(way)).catch(() => '')).toBe('');
    expect(pod.take().requests).toEqual([]);
  }
});

test.each(ways)('PROXY protocol out tells the client’s address, also where another cluster serves, %s', async (way) => {
  const { port } = proxied.address() as AddressInfo;
  await using rigs = await TwoRigs.start({ port, settings: { proxyProtocol: ProxyProtocol.V1 } });
  heads.length = 0;
  const socket = connect({ port: rigs.eu.http, host: '127.0.0.1', localAddress: CLIENT });
  socket.write(request(way));
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  expect(text).toMatch(/^HTTP\/1.1 200/);
  expect(heads).toEqual([`PROXY TCP4 ${CLIENT} GET`]);
});

test('the address survives the pass-through chain, in and out', async () => {
  const { port } = proxied.address() as AddressInfo;
  await using rigs = await TwoRigs.start({
    port,
    listeners: { proxyProtocol: true, tlsPassthrough: true },
    callee: { tlsPassthrough: true },
    settings: { passthrough: true, proxyProtocol: ProxyProtocol.V1 },
  });
  heads.length = 0;
  const raw = connect(rigs.eu.https, '127.0.0.1');
  raw.write('PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n');
  const tls = connectTls({ socket: raw, servername: 'near.example', rejectUnauthorized: false });
  // The pod is none that speaks TLS.
  await once(tls, 'error');
  expect(heads).toEqual(['PROXY TCP4 192.0.2.7 TLS']);
});
