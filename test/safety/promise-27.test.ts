import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestCa, testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { backend, certificate, endpoints, host, peer, split } from '../../agent/haproxy/testing/resources.fixture.ts';
import { Rig } from '../../agent/haproxy/testing/rig.fixture.ts';
import { HIDDEN, http1Cases } from './http1-corpus.ts';
import { http2Cases } from './http2-corpus.ts';
import { figure } from './figure.ts';
import { exchangeBytes, exchangeHttp2 } from './raw-client.ts';
import { type SeenRequest, type StrictBackend, strictBackend, valuesOf } from './strict-backend.ts';

let ca: TestCa;
let eu: Rig;
let us: Rig;
let own: StrictBackend;
let far: StrictBackend;
const stack = new AsyncDisposableStack();

/** Served by the entry itself, and by another cluster over the gateway hop. */
const hosts = ['near.example', 'far.example'];

beforeAll(async () => {
  ca = await testCa();
  [own, far] = [stack.use(await strictBackend()), stack.use(await strictBackend())];
  const crossing = host('far.example', [{ path: '/', at: { us: 'd/far/80' } }]);
  us = stack.use(
    await Rig.start('us', ca, {
      upserts: [crossing, backend('d/far/80'), endpoints('d/far', far.port, ['127.0.0.1']), peer('eu', [])],
      removals: [],
    }),
  );
  const leaf = await ca.leaf('near.example', hosts);
  eu = stack.use(
    await Rig.start('eu', ca, {
      upserts: [
        host('near.example', [{ path: '/', at: { eu: 'd/near/80' } }]),
        crossing,
        backend('d/near/80'),
        endpoints('d/near', own.port, ['127.0.0.1']),
        peer('us', [`127.0.0.1:${us.gateway}`]),
        split('far.example', [{ path: '/', shares: [{ cluster: 'us', share: 100_000 }] }]),
        certificate('d/tls', hosts, leaf),
      ],
      removals: [],
    }),
  );
});

afterAll(() => stack.disposeAsync());

/** What is wrong with what the backends saw of one case, and how many of its own requests they saw. */
function judge(mark: string, second = false): { readonly faults: string[]; readonly count: number } {
  const seen = [own.take(), far.take()];
  const requests = seen.flatMap((one) => one.requests);
  const faults = [
    ...seen.flatMap((one) => one.faults),
    ...requests.filter((one) => !isMarked(one)).map((one) => `not by the entry: ${JSON.stringify(one)}`),
    ...(second ? [] : requests.filter(isHidden).map((one) => `hidden: ${JSON.stringify(one)}`)),
  ];
  return { faults, count: requests.filter(({ target }) => target.endsWith(mark)).length };
}

function isHidden({ target }: SeenRequest): boolean {
  return target.includes(HIDDEN);
}

/** The entry marks every request that it knows of; one that was smuggled past it has no mark. */
function isMarked(request: SeenRequest): boolean {
  return (
    valuesOf(request, 'x-forwarded-for').join() === '127.0.0.1' &&
    valuesOf(request, 'x-forwarded-proto').length === 1 &&
    valuesOf(request, 'x-forwarded-host').length <= 1 &&
    !valuesOf(request, 'upgrade').some((value) => value.toLowerCase().includes('h2c'))
  );
}

describe('promise-27 smuggling', () => {
  test.each(hosts)('promise-27: no HTTP/1.1 request hides another, %s', async (name) => {
    const wrong: string[] = [];
    let passed = 0;
    for (const [i, { name: title, bytes, second }] of http1Cases.entries()) {
      const text = bytes(name).replaceAll(/ \/(a|end) /g, ` /$1?${i} `);
      const answers = (await exchangeBytes(eu.http, text)).match(/HTTP\/1\.[01] [2-5]\d\d/g) ?? [];
      const { faults, count } = judge(`?${i}`, second);
      passed += count;
      // Each request that a backend saw is one that the client got an answer to: none is left for the next client.
      if (answers.length < count) faults.push(`${count} requests, answers ${answers.join()}`);
      wrong.push(...faults.map((fault) => `${title}: ${fault}`));
    }
    figure(
      `promise-27: ${http1Cases.length} HTTP/1.1 cases to ${name}, ${passed} requests passed, ${wrong.length} desyncs`,
    );
    expect(wrong).toEqual([]);
    expect(passed).toBeGreaterThan(40);
  });

  test.each(hosts)('promise-27: no HTTP/2 request becomes two, %s', async (name) => {
    const wrong: string[] = [];
    let passed = 0;
    for (const { name: title, fields, data } of http2Cases) {
      await exchangeHttp2(eu.https, name, fields(name), data);
      const { requests, faults } = merged();
      passed += requests.length;
      if (requests.length > 1) faults.push(`${requests.length} requests`);
      for (const one of requests) if (!isMarked(one)) faults.push(`not by the entry: ${JSON.stringify(one)}`);
      for (const { target, method } of requests)
        if (`${method} ${target}`.includes(HIDDEN)) faults.push(`hidden: ${method} ${target}`);
      wrong.push(...faults.map((fault) => `${title}: ${fault}`));
    }
    figure(
      `promise-27: ${http2Cases.length} HTTP/2 cases to ${name}, ${passed} requests passed, ${wrong.length} desyncs`,
    );
    expect(wrong).toEqual([]);
    expect(passed).toBeGreaterThan(5);
  });
});

function merged(): { readonly requests: SeenRequest[]; readonly faults: string[] } {
  const seen = [own.take(), far.take()];
  return { requests: seen.flatMap((one) => one.requests), faults: seen.flatMap((one) => one.faults) };
}

describe('promise-27 spoofing', () => {
  const claims = [
    'X-Forwarded-For',
    'x-forwarded-for',
    'X_Forwarded_For',
    'X-Forwarded_For',
    'X-Forwarded-Proto',
    'X_FORWARDED-PROTO',
    'X-Forwarded-Host',
    'X-Forwarded-Port',
    'X-Forwarded-Server',
    'X-Forwarded',
    'Forwarded',
    'X-Real-IP',
    'X_Real_IP',
    'X-Headgate-Route',
    'X-Headgate-Anything',
    'X_Headgate_Route',
  ];

  test.each(hosts)('promise-27: what a client says of itself reaches no backend, %s', async (name) => {
    const lines = claims.map((claim) => `${claim}: 6.6.6.6`).join('\r\n');
    const bytes = `GET /a HTTP/1.1\r\nHost: ${name}\r\n${lines}\r\nConnection: close, X-Forwarded-For\r\n\r\n`;
    expect(await exchangeBytes(eu.http, bytes)).toMatch(/^HTTP\/1.1 200/);
    const fields = [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':authority', name],
      [':path', '/a'],
    ] as const;
    const more = claims.map((claim) => [claim.toLowerCase(), '6.6.6.6'] as const);
    expect(await exchangeHttp2(eu.https, name, [...fields, ...more])).toMatchObject({ kind: 'answer', first: 0x88 });
    const { requests, faults } = merged();
    expect([faults, requests.length]).toEqual([[], 2]);
    for (const request of requests) {
      expect(JSON.stringify(request)).not.toContain('6.6.6.6');
      expect(valuesOf(request, 'x-forwarded-for')).toEqual(['127.0.0.1']);
      expect(valuesOf(request, 'x-forwarded-host')).toEqual([name]);
      expect(valuesOf(request, 'connection').join().toLowerCase()).not.toContain('forwarded');
      expect(request.headers.filter(([header]) => header.startsWith('x-headgate'))).toEqual([]);
    }
    figure(`promise-27: ${claims.length} claims of a client over HTTP/1.1 and HTTP/2 to ${name}, 0 believed`);
  });

  test('promise-27: trailers and the gateway listener are no way round', async () => {
    const trailers = claims.map((claim) => `${claim}: 6.6.6.6`).join('\r\n');
    const text = `POST /a HTTP/1.1\r\nHost: near.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n${trailers}\r\n\r\n`;
    await exchangeBytes(eu.http, text);
    expect(merged().requests.flatMap(({ headers }) => headers.map(([, value]) => value))).not.toContain('6.6.6.6');
    // Without a certificate of the fleet's gateways nothing gets past the handshake.
    const fields = [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':authority', 'far.example'],
      [':path', '/a'],
    ] as const;
    expect(
      await exchangeHttp2(us.gateway, 'us.gateway.headgate', fields).catch(() => ({ kind: 'closed' })),
    ).toMatchObject({
      kind: 'closed',
    });
    expect(merged().requests).toEqual([]);
  });
});
