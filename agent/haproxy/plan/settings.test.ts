import { describe, expect, test } from 'vitest';
import { Algorithm, BackendSettings, CheckType, RetryOn } from '../../../proto/gen/headgate/v1/configured.ts';
import type { Change } from '../model/change.ts';
import type { Assignments } from '../model/desired.ts';
import { profileOf, slotKey } from '../model/profile.ts';
import { commandsFor } from '../render/commands.ts';
import { profileLines } from '../render/profile.ts';
import { serverLine } from '../render/server-line.ts';
import { renderFiles } from '../render/files.ts';
import { parseState, formatState } from '../process/state-file.ts';
import { fixed } from '../testing/fixed.fixture.ts';
import { slices, treated, type Settings } from '../testing/pods.fixture.ts';
import { Planner } from './planner.ts';
import { checkSettings } from './settings.ts';

const none: Assignments = { slots: 64, profiles: [], peerSlots: 1, backends: new Map(), peers: new Map() };
const kinds = ({ ops }: Change): string[] => ops.map(({ op }) => ('map' in op ? `${op.kind} ${op.map}` : op.kind));
const planned = (settings: Settings, assignments = none): Planner => {
  const planner = new Planner({ cluster: 'eu', assignments });
  const upserts = [...treated('a', settings), ...slices('a', [9000])];
  expect(planner.apply({ upserts, removals: [] }).rejections).toEqual([]);
  return planner;
};
const texts = (planner: Planner): string => [...renderFiles(planner.desired, fixed).values()].join('');

test.each<[string, Settings, readonly (string | RegExp)[]]>([
  ['connect timeout', { timeouts: { connectMs: 70n } }, ['  timeout connect 70ms\n']],
  ['queue timeout', { timeouts: { queueMs: 71n } }, ['  timeout queue 71ms\n']],
  ['response timeout', { timeouts: { responseMs: 72n } }, ['http-request set-timeout server', /^s0064 72$/m]],
  ['tunnel timeout', { timeouts: { tunnelMs: 73n } }, ['http-request set-timeout tunnel', /^s0064 73$/m]],
  ['no retries', { retries: { attempts: 0 } }, ['  retries 0\n']],
  [
    'retries',
    { retries: { attempts: 3, on: [RetryOn.GATEWAY_ERROR, RetryOn.RESPONSE_TIMEOUT] } },
    ['  retries 3\n', 'retry-on conn-failure empty-response 502 503 504 response-timeout', 'disable-l7-retry'],
  ],
  ['least connections', { balance: { algorithm: Algorithm.LEAST_CONNECTIONS } }, ['balance leastconn']],
  ['random', { balance: { algorithm: Algorithm.RANDOM } }, ['balance random(2)', / id \d+ /]],
  [
    'hash of a header',
    { balance: { algorithm: Algorithm.HASH, hashHeader: 'X-A.b_c' } },
    ["balance 'hdr(x-a.b_c)'", 'hash-type consistent', / id \d+ /],
  ],
  ['hash of a cookie', { balance: { algorithm: Algorithm.HASH, hashCookie: 'c' } }, ["balance hash 'req.cook(c)'"]],
  [
    'HTTP check',
    { healthCheck: { type: CheckType.HTTP, path: "/a'b", host: 'h.example', statusFrom: 200, statusTo: 204 } },
    [String.raw`uri '/a'\''b' ver HTTP/1.1 hdr host 'h.example'`, 'expect status 200-204'],
  ],
  [
    'check times',
    { healthCheck: { intervalMs: 900n, timeoutMs: 80n, rise: 3, fall: 4 } },
    ['timeout check 80ms', 'check inter 900ms fastinter 500ms downinter 500ms fall 4 rise 3'],
  ],
  ['check port', { healthCheck: { port: 81 } }, [/ port 81\b/]],
  ['gRPC check', { healthCheck: { type: CheckType.GRPC } }, ['tcp-check expect binary 00000000020801']],
  [
    'outlier',
    { outlier: { consecutiveErrors: 5, serverErrors: true, ejectForMs: 7_000n } },
    ['observe layer7 error-limit 5 on-error mark-down', 'fastinter 7000ms downinter 7000ms fall 2 rise 2'],
  ],
  ['slow start', { slowStartMs: 30_000n }, [' slowstart 30000ms']],
  ['limits', { limits: { connections: 9, queue: 4 } }, [' maxconn 9', ' maxqueue 4', /^s0064 4$/m]],
  ['endpoint cookie', { endpointCookie: true }, ['cookie headgate-endpoint insert', "dynamic-cookie-key 'k'"]],
  ['HTTP/2', { protocol: 2 }, [' proto h2']],
  ['TLS', { tls: { hostname: 'x.example' } }, ['verifyhost x.example', 'ca-file @system-ca', 'sni str(x.example)']],
  ['PROXY protocol', { proxyProtocol: 1 }, [' send-proxy check-send-proxy']],
])('%s', (_, settings, wanted) => {
  const text = texts(planned(settings));
  for (const one of wanted) expect(typeof one === 'string' ? text.includes(one) : one.test(text)).toBe(true);
});

test('what goes through as TLS has a profile of its own, and servers that are checked by connections alone', () => {
  const settings = BackendSettings.create({
    passthrough: true,
    endpointCookie: true,
    tls: { hostname: 'x.example' },
    outlier: { serverErrors: true },
    healthCheck: { type: CheckType.HTTP },
    limits: { connections: 2, queue: 3 },
  });
  expect(profileLines(profileOf(settings), 'k')).toEqual([
    'mode tcp',
    'tcp-request content set-var(txn.queue) be_name,map_str_int(maps/queue.map)',
    'tcp-request content reject if { var(txn.queue) -m found } { avg_queue,sub(txn.queue) ge 0 }',
  ]);
  const server = { name: 'e-1', address: '10.0.0.1', port: 80, state: 'ready' } as const;
  expect(serverLine(server, { kind: 'endpoint', settings }, 'sni')).toBe(
    '10.0.0.1:80 weight 1 check inter 2000ms fastinter 500ms downinter 500ms fall 2 rise 1 ' +
      'observe layer4 error-limit 1 on-error mark-down maxconn 2 maxqueue 3',
  );
});

test('other settings are another slot, which stands before the route turns to it and the old one goes', () => {
  const planner = planned({ limits: { connections: 1 } });
  const change = planner.apply({ upserts: treated('a', { limits: { connections: 2 } }), removals: [] });
  expect(kinds(change)).toEqual([
    'assigned',
    'server-add',
    'map-set gateway',
    'map-set path',
    'server-remove',
    'freed',
  ]);
  expect(change.reload).toBeUndefined();
  expect(
    commandsFor(change.ops, 'sni')
      .map(({ command }) => command.text)
      .join('\n'),
  ).toContain('maxconn 2');
});

const key = (list: RetryOn[]) =>
  slotKey('d/a/80', checkSettings(BackendSettings.create({ retries: { attempts: 1, on: list } }), 'x'));

test('equal settings are one slot, whatever the order they come in', () => {
  const on = [RetryOn.EMPTY_RESPONSE, RetryOn.GATEWAY_ERROR];
  expect(key(on)).toBe(key(on.toReversed()));
  expect(slotKey('d/a/80', BackendSettings.create({}))).toBe('d/a/80');
});

const added = ({ ops }: Change) => ops.flatMap(({ op }) => (op.kind === 'server-add' ? [op.server.name] : []));

test('servers with other options have other names: one that still ends its streams in a slot keeps its own', () => {
  const planner = new Planner({ cluster: 'eu', assignments: none });
  const [limits, more, slice] = [{ limits: { connections: 1 } }, { limits: { connections: 2 } }, slices('a', [9000])];
  const names = [limits, more, {}, limits].map((settings) =>
    added(planner.apply({ upserts: [...treated('a', settings), ...slice], removals: [] })),
  );
  expect(new Set(names.flat()).size).toBe(3);
  expect(names[3]).toEqual(names[0]);
});

test('a restarted agent makes the same files, and needs no reload', () => {
  const settings = { balance: { algorithm: Algorithm.LEAST_CONNECTIONS }, endpointCookie: true };
  const first = planned(settings);
  first.apply({ upserts: treated('b', { timeouts: { connectMs: 5n } }), removals: [] });
  const state = { http: '', https: '', gateway: '', loaded: '', ...first.assignments() };
  const assignments = parseState(formatState(state));
  const second = new Planner({ cluster: 'eu', assignments: assignments ?? none });
  const upserts = [...treated('b', { timeouts: { connectMs: 5n } }), ...treated('a', settings), ...slices('a', [9000])];
  expect(second.apply({ upserts, removals: [] }).reload).toBeUndefined();
  expect(texts(second)).toBe(texts(first));
});

test('a profile gets a few spares, which others get when nobody uses it any more', () => {
  const planner = planned({ timeouts: { connectMs: 1n } });
  expect(planner.desired.slots).toHaveLength(72);
  planner.apply({ upserts: treated('a', {}), removals: [] });
  planner.apply({ upserts: treated('b', { timeouts: { connectMs: 2n } }), removals: [] });
  const change = planner.apply({ upserts: treated('c', { timeouts: { connectMs: 3n } }), removals: [] });
  expect([change.reload, planner.desired.slots.length]).toEqual(['backend-settings', 80]);
  const resources = [{ type: 'host', name: 'c.example' }];
  expect(change.causes).toMatchObject({
    profiles: [{ profile: { connectTimeout: expect.any(Number) }, resources }],
    resources,
  });
});

test('what waits for a reload is told, and the rest is taken in', () => {
  const planner = planned({});
  const upserts = [...treated('b', { timeouts: { connectMs: 1n } }), ...treated('c', { limits: { connections: 1 } })];
  const change = planner.apply({ upserts, removals: [] }, false);
  expect(change.rejections).toMatchObject([{ key: { name: 'b.example' }, code: 'HG5006', transient: true }]);
  expect(change.reload).toBeUndefined();
  expect(planner.needsSlots(false)).toBe(true);
  expect(planner.growProfiles().reload).toBe('backend-settings');
  expect(planner.apply({ upserts, removals: [] }, false).rejections).toEqual([]);
  expect(planner.needsSlots(false)).toBe(false);
});

describe('settings that HAProxy could misread are refused', () => {
  test.each<[string, Settings]>([
    ['a header with a newline', { balance: { algorithm: Algorithm.HASH, hashHeader: 'a\nb' } }],
    ['a header that closes its bracket', { balance: { algorithm: Algorithm.HASH, hashHeader: 'a) b' } }],
    ['a hash of nothing', { balance: { algorithm: Algorithm.HASH } }],
    ['an unknown algorithm', { balance: { algorithm: 9 as Algorithm } }],
    ['a path with a blank', { healthCheck: { type: CheckType.HTTP, path: '/a b' } }],
    ['a path with a newline', { healthCheck: { type: CheckType.HTTP, path: '/a\n' } }],
    ['a host with a log-format', { healthCheck: { type: CheckType.HTTP, host: '%[env(x)]' } }],
    ['a name of gRPC with a zero byte', { healthCheck: { type: CheckType.GRPC, grpcService: '\0' } }],
    ['a range upside down', { healthCheck: { type: CheckType.HTTP, statusFrom: 300, statusTo: 200 } }],
    ['a port beyond all', { healthCheck: { port: 70_000 } }],
    ['a host name with options', { tls: { hostname: 'x.example verify none' } }],
    ['public CAs without a name', { tls: {} }],
    ['a time beyond HAProxy’s clock', { timeouts: { connectMs: 1n << 40n } }],
  ])('%s', (_, settings) => {
    expect(() => checkSettings(BackendSettings.create(settings), 'x')).toThrow(
      expect.objectContaining({ code: 'HG1002' }),
    );
  });

  test('a CA that is none', () => {
    expect(() => checkSettings(BackendSettings.create({ tls: { ca: 'x' } }), 'x')).toThrow(
      expect.objectContaining({ code: 'HG1004' }),
    );
  });
});
