import { HIDDEN } from './http1-corpus.ts';
import type { Fields } from './raw-client.ts';

export interface Http2Case {
  readonly name: string;
  readonly fields: (host: string) => Fields;
  readonly data?: readonly string[];
}

const inside = (host: string): string => `GET ${HIDDEN} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

/** A good request, with fields put in the place of its own. */
function request(host: string, changed: Readonly<Record<string, string | undefined>>, more: Fields = []): Fields {
  const fields = { ':method': 'GET', ':scheme': 'https', ':authority': host, ':path': '/a', ...changed };
  const kept = Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return [...kept, ...more];
}

function pseudo(name: string, changed: (host: string) => Readonly<Record<string, string | undefined>>): Http2Case {
  return { name: `pseudo-header ${name}`, fields: (host) => request(host, changed(host)) };
}

function field(name: string, header: string, value: string | ((host: string) => string)): Http2Case {
  const text = (host: string): string => (typeof value === 'string' ? value : value(host));
  return { name: `field ${name}`, fields: (host) => request(host, {}, [[header, text(host)]]) };
}

function body(name: string, length: string | undefined, ...data: readonly string[]): Http2Case {
  const more: Fields = length === undefined ? [] : [['content-length', length]];
  return { name: `body ${name}`, fields: (host) => request(host, { ':method': 'POST' }, more), data };
}

const ends = ['\r', '\n', '\r\n', '\0'] as const;

export const http2Cases: readonly Http2Case[] = [
  ...ends.flatMap((end) => [
    pseudo(`path with ${JSON.stringify(end)}`, (host) => ({
      ':path': `/a HTTP/1.1${end}Host: x${end}${end}${inside(host)}`,
    })),
    pseudo(`method with ${JSON.stringify(end)}`, (host) => ({
      ':method': `GET ${HIDDEN} HTTP/1.1${end}Host: ${host}${end}${end}GET`,
    })),
    pseudo(`authority with ${JSON.stringify(end)}`, (host) => ({
      ':authority': `${host}${end}X-Forwarded-For: 6.6.6.6`,
    })),
    pseudo(`scheme with ${JSON.stringify(end)}`, () => ({ ':scheme': `https${end}X-Y: z` })),
    field(`value with ${JSON.stringify(end)}`, 'x-y', (host) => `z${end}${end}${inside(host)}`),
    field(`name with ${JSON.stringify(end)}`, `x-y: z${end}x-forwarded-for`, '6.6.6.6'),
    field(`cookie with ${JSON.stringify(end)}`, 'cookie', `a=b${end}X-Forwarded-For: 6.6.6.6`),
  ]),
  pseudo('path with a blank', () => ({ ':path': `/a HTTP/1.1 x` })),
  pseudo('path with a fragment', () => ({ ':path': '/a#b' })),
  pseudo('path empty', () => ({ ':path': '' })),
  pseudo('path missing', () => ({ ':path': undefined })),
  pseudo('path relative', () => ({ ':path': 'a' })),
  pseudo('path absolute', () => ({ ':path': 'http://evil.example/a' })),
  pseudo('path of an authority', () => ({ ':path': '//evil.example/a' })),
  pseudo('path with an at sign', () => ({ ':path': '@evil.example/a' })),
  pseudo('path asterisk', () => ({ ':path': '*' })),
  pseudo('path in Latin-1', () => ({ ':path': '/\xe9' })),
  pseudo('path with a tab', () => ({ ':path': '/a\tb' })),
  pseudo('method empty', () => ({ ':method': '' })),
  pseudo('method missing', () => ({ ':method': undefined })),
  pseudo('method with a blank', () => ({ ':method': `GET ${HIDDEN} HTTP/1.1` })),
  pseudo('method of another kind', () => ({ ':method': 'PRI' })),
  pseudo('method CONNECT', (host) => ({
    ':method': 'CONNECT',
    ':scheme': undefined,
    ':path': undefined,
    ':authority': `${host}:80`,
  })),
  pseudo('method CONNECT with a path', () => ({ ':method': 'CONNECT' })),
  pseudo('protocol h2c', () => ({ ':method': 'CONNECT', ':protocol': 'h2c' })),
  pseudo('protocol with a line end', () => ({ ':method': 'CONNECT', ':protocol': 'websocket\r\nX-Y: z' })),
  pseudo('protocol on GET', () => ({ ':protocol': 'websocket' })),
  pseudo('scheme with a request', (host) => ({ ':scheme': `http://${host}${HIDDEN} HTTP/1.1` })),
  pseudo('scheme with a path', () => ({ ':scheme': `https://evil.example/x?` })),
  pseudo('scheme missing', () => ({ ':scheme': undefined })),
  pseudo('scheme empty', () => ({ ':scheme': '' })),
  pseudo('authority missing', () => ({ ':authority': undefined })),
  pseudo('authority empty', () => ({ ':authority': '' })),
  pseudo('authority with a user', (host) => ({ ':authority': `evil@${host}` })),
  pseudo('authority with a path', (host) => ({ ':authority': `${host}/x` })),
  pseudo('authority with a blank', (host) => ({ ':authority': `${host} evil.example` })),
  pseudo('unknown', () => ({ ':status': '200' })),
  { name: 'pseudo-header twice', fields: (host) => [...request(host, {}), [':path', HIDDEN]] },
  {
    name: 'pseudo-header behind a field',
    fields: (host) => [
      [':method', 'GET'],
      [':scheme', 'https'],
      ['x-y', 'z'],
      [':authority', host],
      [':path', '/a'],
    ],
  },
  { name: 'field host that differs', fields: (host) => request(host, {}, [['host', 'evil.example']]) },
  {
    name: 'field host twice',
    fields: (host) =>
      request(host, { ':authority': undefined }, [
        ['host', host],
        ['host', 'evil.example'],
      ]),
  },
  { name: 'field host alone', fields: (host) => request(host, { ':authority': undefined }, [['host', host]]) },
  field('transfer-encoding', 'transfer-encoding', 'chunked'),
  field('transfer-encoding in capitals', 'Transfer-Encoding', 'chunked'),
  field('transfer-encoding with a blank', 'transfer-encoding ', 'chunked'),
  field('connection', 'connection', 'x-forwarded-for'),
  field('keep-alive', 'keep-alive', 'timeout=5'),
  field('proxy-connection', 'proxy-connection', 'close'),
  field('upgrade', 'upgrade', 'h2c'),
  field('te', 'te', 'gzip'),
  field('name empty', '', 'x'),
  field('name with a colon', 'x-y: z', 'x'),
  field('name with a blank', 'x y', 'x'),
  field('name in capitals', 'X-Y', 'x'),
  field('name in Latin-1', 'x\xe9', 'x'),
  field('value with blanks around', 'x-y', ' z '),
  field('value of 12 KB', 'x-y', 'z'.repeat(12_288)),
  body('longer than its length', '5', '12345', inside('near.example')),
  body('shorter than its length', '500', '12345'),
  body('of length 0 with data', '0', inside('near.example')),
  body('with two lengths', '5, 6', '12345'),
  body('with two equal lengths', '5, 5', '12345'),
  body('with a signed length', '+5', '12345'),
  body('with a negative length', '-5', '12345'),
  body('with a length that overflows', '18446744073709551621', '12345'),
  body('with no length', undefined, '12345', inside('near.example')),
  body('that looks chunked', undefined, `0\r\n\r\n${inside('near.example')}`),
  {
    name: 'body with two lengths in two fields',
    fields: (host) =>
      request(host, { ':method': 'POST' }, [
        ['content-length', '5'],
        ['content-length', '50'],
      ]),
    data: ['12345'],
  },
  {
    name: 'body with a coding and a length',
    fields: (host) =>
      request(host, { ':method': 'POST' }, [
        ['content-length', '5'],
        ['transfer-encoding', 'chunked'],
      ]),
    data: [`0\r\n\r\n${inside('near.example')}`],
  },
];
