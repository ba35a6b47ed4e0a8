import { expect, test } from 'vitest';
import { issueFaults } from '../manifest/issue-faults.ts';
import { fieldPath } from '../manifest/yaml-documents.ts';
import { certificatePem } from './certificate.fixture.ts';
import { trafficPolicySpec } from './schemas.ts';

function faults(spec: unknown): string[] {
  const { error } = trafficPolicySpec.safeParse(spec);
  if (error === undefined) return [];
  return issueFaults(error, spec).map(({ path, message, code }) => `${code} ${fieldPath(path)}: ${message}`);
}

const ca = certificatePem;
const clusters = (count: number, weight = 1) => Array.from({ length: count }, (_, i) => ({ name: `c${i}`, weight }));

test.each<[string, unknown]>([
  ['nothing', {}],
  ['timeouts', { timeouts: { connect: '75s', queue: '1ms', response: '24h', tunnel: '1h30m' } }],
  [
    'retries',
    { retries: { attempts: 10, on: ['ConnectFailure', 'EmptyResponse', 'ResponseTimeout', 'GatewayError'] } },
  ],
  ['no retries', { retries: { attempts: 0 } }],
  ['balance', { balance: { algorithm: 'LeastConnections' } }],
  ['a header that is hashed', { balance: { algorithm: 'Hash', hash: { header: 'X-User_1.a' } } }],
  ['a cookie that is hashed', { balance: { algorithm: 'Hash', hash: { cookie: 'c'.repeat(64) } } }],
  ['the source that is hashed', { balance: { algorithm: 'Hash', hash: { source: true } } }],
  ['an empty health check', { healthCheck: {} }],
  ['no health check', { healthCheck: { type: 'None' } }],
  [
    'HTTP checks',
    {
      healthCheck: {
        type: 'HTTP',
        interval: '2s',
        timeout: '1s',
        rise: 1,
        fall: 100,
        port: 65_535,
        path: '/healthz?full=1&x=%20',
        host: 'a.example',
        status: { from: 200, to: 200 },
      },
    },
  ],
  ['gRPC checks', { healthCheck: { type: 'GRPC', grpcService: 'shop.v1/Cart' } }],
  ['outlier', { outlier: { consecutiveErrors: 5, serverErrors: true, ejectFor: '30s', maxEjectedPercent: 50 } }],
  ['slowStart and limits', { slowStart: '30s', limits: { connections: 100, queue: 10 } }],
  ['affinity to endpoints alone', { affinity: { cookie: false, endpoint: true } }],
  ['TLS', { backendTLS: { hostname: 'pod.example', ca: ca + ca } }],
  ['TLS to anybody', { backendTLS: { insecure: true } }],
  ['protocols', { backendProtocol: 'HTTP2', proxyProtocol: 'V2' }],
  ['passthrough', { passthrough: true, limits: { connections: 1 }, healthCheck: { interval: '1s' } }],
  ['the end of passthrough', { passthrough: false, backendTLS: { insecure: true } }],
  ['sections', { defaults: { slowStart: '1s' }, overrides: { retries: { attempts: 1 } } }],
  [
    'eight clusters, and others without weight',
    { tiers: [{ clusters: [...clusters(8), { name: 'more', weight: 0 }] }] },
  ],
])('accepts %s', (_, spec) => {
  expect(faults(spec)).toEqual([]);
});

test.each<[unknown, string[]]>([
  [{ timeouts: { connect: '76s' } }, ['HG1002 timeouts.connect: must be at least 1ms and at most 75s']],
  [{ timeouts: { response: '0s' } }, ['HG1002 timeouts.response: must be at least 1ms and at most 24h']],
  [{ timeouts: { tunnel: '24h1ms' } }, ['HG1002 timeouts.tunnel: must be at least 1ms and at most 24h']],
  [{ timeouts: { queue: '-1s' } }, ['HG1002 timeouts.queue: must be a duration such as 30s, 10m or 1h30m']],
  [{ timeouts: { queue: 5 } }, ['HG1002 timeouts.queue: must be a duration such as 30s, 10m or 1h30m']],
  [{ timeouts: { request: '1s' } }, ['HG1002 timeouts.request: unknown field']],
  [{ retries: { attempts: 11 } }, ['HG1002 retries.attempts: Too big: expected number to be <=10']],
  [{ retries: { on: [] } }, ['HG1002 retries.attempts: is missing']],
  [{ balance: { algorithm: 'Hash' } }, ['HG1002 balance.hash: is missing: algorithm Hash needs it']],
  [
    { balance: { algorithm: 'Random', hash: { source: true } } },
    ['HG1002 balance.hash: goes with algorithm Hash only'],
  ],
  [
    { balance: { algorithm: 'Hash', hash: { header: 'a', cookie: 'b' } } },
    ['HG1002 balance.hash: needs exactly one of header, cookie and source'],
  ],
  [
    { balance: { algorithm: 'Hash', hash: {} } },
    ['HG1002 balance.hash: needs exactly one of header, cookie and source'],
  ],
  [
    { healthCheck: { path: '/', grpcService: '' } },
    ['HG1002 healthCheck.path: goes with type HTTP only', 'HG1002 healthCheck.grpcService: goes with type GRPC only'],
  ],
  [{ healthCheck: { type: 'None', rise: 1 } }, ['HG1002 healthCheck.rise: has no meaning with type None']],
  [{ healthCheck: { interval: '99ms' } }, ['HG1002 healthCheck.interval: must be at least 100ms and at most 24h']],
  [
    { healthCheck: { type: 'HTTP', status: { from: 300, to: 200 } } },
    ['HG1002 healthCheck.status.to: must not be below from'],
  ],
  [{ healthCheck: { type: 'HTTP', host: '*.a' } }, ['HG1002 healthCheck.host: must be a lower-case host name']],
  [{ limits: { queue: 1 } }, ['HG1002 limits.connections: is missing']],
  [{ backendTLS: {} }, ['HG1002 backendTLS.hostname: is missing: the certificate of an endpoint must carry it']],
  [
    { backendTLS: { insecure: true, ca } },
    ['HG1002 backendTLS.ca: has no meaning with insecure: any certificate is taken'],
  ],
  [
    {
      overrides: {
        passthrough: true,
        affinity: {},
        backendTLS: { insecure: true },
        healthCheck: { type: 'HTTP' },
      },
    },
    [
      'HG1002 overrides.affinity: has no meaning with passthrough, which leaves requests unread',
      'HG1002 overrides.backendTLS: has no meaning with passthrough, which leaves requests unread',
      'HG1002 overrides.healthCheck.type: must be TCP or None with passthrough',
    ],
  ],
  [{ tiers: [{ clusters: clusters(9) }] }, ['HG5005 tiers[0].clusters: gives more than 8 clusters a weight']],
  [{ tiers: [{ clusters: clusters(9, 0) }] }, ['HG1009 tiers[0].clusters: weights sum to 0']],
])('refuses %j', (spec, expected) => {
  expect(faults(spec)).toEqual(expected);
});
