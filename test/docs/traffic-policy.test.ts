import { expect, test } from 'vitest';
import { profileId, profileOf } from '../../agent/haproxy/model/profile.ts';
import { encodeBackendSettings } from '../../hub/compile/policy/backend-settings.ts';
import { certificatePem } from '../../lib/policy/certificate.fixture.ts';
import { trafficPolicySpec } from '../../lib/policy/schemas.ts';
import { BackendSettings } from '../../proto/gen/headgate/v1/configured.ts';
import { textOf } from './pages.ts';

type Spec = Readonly<Record<string, unknown>>;

/** Of each field of the page's table: a policy without it, and the same with it. */
const samples: Readonly<Record<string, readonly [Spec, Spec]>> = {
  'timeouts.connect': [{}, { timeouts: { connect: '1s' } }],
  'timeouts.queue': [{}, { timeouts: { queue: '1s' } }],
  'timeouts.response': [{}, { timeouts: { response: '1s' } }],
  'timeouts.tunnel': [{}, { timeouts: { tunnel: '1s' } }],
  'retries.attempts': [{}, { retries: { attempts: 0 } }],
  'retries.on': [{ retries: { attempts: 1 } }, { retries: { attempts: 1, on: ['GatewayError'] } }],
  'balance.algorithm': [{}, { balance: { algorithm: 'Random' } }],
  'balance.hash': [hashed({ source: true }), hashed({ header: 'X-User' })],
  'healthCheck.type': [{}, { healthCheck: { type: 'GRPC' } }],
  'healthCheck.interval': [{}, { healthCheck: { interval: '1s' } }],
  'healthCheck.timeout': [{}, { healthCheck: { timeout: '1s' } }],
  'healthCheck.rise, .fall': [{}, { healthCheck: { rise: 3, fall: 4 } }],
  'healthCheck.port': [{}, { healthCheck: { port: 81 } }],
  'healthCheck.path, .host, .status': [
    { healthCheck: { type: 'HTTP' } },
    { healthCheck: { type: 'HTTP', path: '/x' } },
  ],
  'healthCheck.grpcService': [{ healthCheck: { type: 'GRPC' } }, { healthCheck: { type: 'GRPC', grpcService: 'a.B' } }],
  'outlier.consecutiveErrors': [{}, { outlier: { consecutiveErrors: 5 } }],
  'outlier.serverErrors': [{}, { outlier: { serverErrors: true } }],
  'outlier.ejectFor': [{}, { outlier: { ejectFor: '10s' } }],
  'outlier.maxEjectedPercent': [{}, { outlier: { maxEjectedPercent: 50 } }],
  slowStart: [{}, { slowStart: '30s' }],
  'limits.connections': [{}, { limits: { connections: 5 } }],
  'limits.queue': [{ limits: { connections: 5 } }, { limits: { connections: 5, queue: 5 } }],
  'affinity.endpoint': [{ affinity: {} }, { affinity: { endpoint: true } }],
  backendProtocol: [{}, { backendProtocol: 'HTTP2' }],
  'backendTLS.hostname': [{}, { backendTLS: { hostname: 'a.example' } }],
  'backendTLS.ca': [{}, { backendTLS: { hostname: 'a.example', ca: certificatePem } }],
  'backendTLS.insecure': [{}, { backendTLS: { insecure: true } }],
  proxyProtocol: [{}, { proxyProtocol: 'V2' }],
  passthrough: [{}, { passthrough: true }],
};

function hashed(hash: Spec): Spec {
  return { balance: { algorithm: 'Hash', hash } };
}

/** Rows of the table that says of each field whether it reloads. */
const rows = [...textOf('docs/traffic-policy.md').matchAll(/^\| (`\S.*?) +\|.*\| (no|first) +\|$/gm)].map(
  ([, field = '', reload]) => ({ field: field.replaceAll('`', ''), reload }),
);

test('every field of the table is tried', () => {
  expect(rows.map(({ field }) => field)).toEqual(Object.keys(samples));
});

test.each(rows)('$field reloads as the page says: $reload', ({ field, reload }) => {
  const [before, after] = (samples[field] ?? []).map(settingsOf);
  expect(after).not.toEqual(before);
  expect(profileId(profileOf(after ?? NONE)) === profileId(profileOf(before ?? NONE)) ? 'no' : 'first').toBe(reload);
});

const NONE = BackendSettings.create();

function settingsOf(spec: Spec): BackendSettings {
  return encodeBackendSettings(trafficPolicySpec.parse(spec)) ?? NONE;
}
