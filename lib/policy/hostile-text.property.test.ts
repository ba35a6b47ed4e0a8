import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { certificatePem } from './certificate.fixture.ts';
import { trafficPolicySpec } from './schemas.ts';

/** Everywhere a policy about endpoints has text. */
const places: Readonly<Record<string, (text: string) => object>> = {
  'timeouts.connect': (connect) => ({ timeouts: { connect } }),
  slowStart: (slowStart) => ({ slowStart }),
  'retries.on': (on) => ({ retries: { attempts: 1, on: [on] } }),
  'balance.algorithm': (algorithm) => ({ balance: { algorithm } }),
  'balance.hash.header': (header) => ({ balance: { algorithm: 'Hash', hash: { header } } }),
  'balance.hash.cookie': (cookie) => ({ balance: { algorithm: 'Hash', hash: { cookie } } }),
  'healthCheck.type': (type) => ({ healthCheck: { type } }),
  'healthCheck.interval': (interval) => ({ healthCheck: { interval } }),
  'healthCheck.path': (path) => ({ healthCheck: { type: 'HTTP', path } }),
  'healthCheck.host': (host) => ({ healthCheck: { type: 'HTTP', host } }),
  'healthCheck.grpcService': (grpcService) => ({ healthCheck: { type: 'GRPC', grpcService } }),
  'outlier.ejectFor': (ejectFor) => ({ outlier: { ejectFor } }),
  backendProtocol: (backendProtocol) => ({ backendProtocol }),
  'backendTLS.hostname': (hostname) => ({ backendTLS: { hostname } }),
  'backendTLS.ca': (ca) => ({ backendTLS: { hostname: 'a', ca } }),
  proxyProtocol: (proxyProtocol) => ({ proxyProtocol }),
};

const good: Readonly<Record<string, string>> = {
  'timeouts.connect': '1s',
  slowStart: '1s',
  'retries.on': 'EmptyResponse',
  'balance.algorithm': 'Random',
  'balance.hash.header': 'X-User',
  'balance.hash.cookie': 'user',
  'healthCheck.type': 'HTTP',
  'healthCheck.interval': '1s',
  'healthCheck.path': '/healthz',
  'healthCheck.host': 'a.example',
  'healthCheck.grpcService': 'shop.v1/Cart',
  'outlier.ejectFor': '1s',
  backendProtocol: 'HTTP1',
  'backendTLS.hostname': 'a.example',
  'backendTLS.ca': certificatePem,
  proxyProtocol: 'V1',
};

const bad = ['\0', '\r', '\n', '\t', ' ', '"', "'", '\\', '\x7f', '\x1b[2J', '\u2028', '\u202e', 'é', '\ud800'];
const directives = [
  '\nbind :1',
  "'\n  server x",
  '%[env(SECRET)]',
  '<<',
  '-f /etc/passwd',
  '#',
  ';show version',
  '${A}',
];
const hostile = fc.oneof(
  fc.constantFrom(...bad, ...directives),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
);

/** What neither a line nor a word of HAProxy's files and commands, nor a terminal, can trip over. */
const harmless = /^[\x21\x23-\x26\x28-\x5b\x5d-\x7e]*$/;
const pem = /^(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END CERTIFICATE-----\n)+$/;

test.each(Object.keys(places))('%s takes a good text', (place) => {
  expect(trafficPolicySpec.safeParse(places[place]?.(good[place] ?? ''))).toMatchObject({ success: true });
});

test.each(Object.keys(places))('no hostile text gets through %s', (place) => {
  const part = good[place] ?? '';
  const text = fc.oneof(
    hostile,
    fc.tuple(hostile, fc.nat(part.length)).map(([inserted, at]) => part.slice(0, at) + inserted + part.slice(at)),
  );
  fc.assert(
    fc.property(text, (written) => {
      const { data } = trafficPolicySpec.safeParse(places[place]?.(written));
      for (const out of textsIn(data)) expect(out).toMatch(out.startsWith('-----BEGIN') ? pem : harmless);
    }),
    { numRuns: 300 },
  );
});

test.each(Object.keys(places).filter((place) => place !== 'backendTLS.ca'))(
  '%s refuses line ends, blanks and quotes wherever they stand',
  (place) => {
    const part = good[place] ?? '';
    const accepted = bad.flatMap((one) =>
      [one + part, part + one, part.slice(0, 2) + one + part.slice(2)].filter(
        (text) => trafficPolicySpec.safeParse(places[place]?.(text)).success,
      ),
    );
    expect(accepted).toEqual([]);
  },
);

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
