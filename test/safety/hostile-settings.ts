import type { TestLeaf } from '../../agent/haproxy/testing/certificates.fixture.ts';
import type { Settings } from '../../agent/haproxy/testing/pods.fixture.ts';
import { hostileIn, hostileText, MARK, pick } from './hostile-text.ts';

type Random = () => number;

/** Milliseconds and counts at their ends, and beyond. */
const times = [0n, 1n, 999n, 86_400_000n, 86_400_001n, 1n << 31n, 1n << 53n, (1n << 64n) - 1n] as const;
const counts = [0, 1, 2, 99, 100, 101, 1_000, 65_535, 65_536, 1_000_000, 1_000_001, 2 ** 31, 2 ** 32 - 1] as const;
const numbers = [0, 1, 2, 3, 4, 5, 6, 99, -1, 2 ** 31 - 1, -(2 ** 31)] as const;

type Part = (random: Random, leaf: TestLeaf) => Settings & object;

const time = (random: Random): bigint => pick(random, times);
const count = (random: Random): number => pick(random, counts);
/** One of an enumeration, or none. */
const kind = (random: Random): never => pick(random, numbers) as never;
const token = (random: Random): string => hostileIn(random, 'token');
const host = (random: Random): string => hostileIn(random, 'host');

function spoilt(random: Random, pem: string): string {
  const at = Math.floor(random() * pem.length);
  return pem.slice(0, at) + hostileText(random) + pem.slice(at);
}

/** A CA bundle: sound, with text round it, with text in it, or none at all. */
function authority(random: Random, { certificate }: TestLeaf): string {
  const text = hostileText(random);
  return pick(random, ['', certificate, text + certificate, certificate + text, spoilt(random, certificate), text]);
}

const parts: readonly Part[] = [
  (random) => ({ balance: { algorithm: 4, hashHeader: token(random) } }),
  (random) => ({ balance: { algorithm: 4, hashCookie: token(random) } }),
  (random) => ({ balance: { algorithm: kind(random), hashSource: random() < 0.5, hashHeader: token(random) } }),
  (random) => ({
    healthCheck: { type: 2, path: hostileIn(random, 'path'), host: random() < 0.5 ? '' : host(random) },
  }),
  (random) => ({ healthCheck: { type: 2, host: host(random), statusFrom: count(random), statusTo: count(random) } }),
  (random) => ({ healthCheck: { type: 2, statusFrom: 200, statusTo: pick(random, [200, 399, 599, 600]) } }),
  (random) => ({ healthCheck: { type: 3, grpcService: token(random) } }),
  (random) => ({ healthCheck: { type: kind(random), path: hostileText(random), grpcService: token(random) } }),
  (random) => ({ healthCheck: { intervalMs: time(random), timeoutMs: time(random), rise: count(random) } }),
  (random) => ({ healthCheck: { fall: count(random), port: count(random) } }),
  (random, leaf) => ({ tls: { hostname: host(random), ca: authority(random, leaf), insecure: random() < 0.2 } }),
  (random, leaf) => ({ tls: { hostname: `${MARK}.example`, ca: authority(random, leaf) } }),
  (random) => ({ timeouts: { connectMs: time(random), queueMs: time(random) } }),
  (random) => ({ timeouts: { responseMs: time(random), tunnelMs: time(random) } }),
  (random) => ({ retries: { attempts: count(random), on: Array.from({ length: 4 }, () => kind(random)) } }),
  (random) => ({ retries: { attempts: 3, on: [pick(random, [1, 2, 3, 4]), 4] } }),
  (random) => ({ outlier: { consecutiveErrors: count(random), serverErrors: random() < 0.5 } }),
  (random) => ({ outlier: { ejectForMs: time(random), maxEjectedPercent: count(random) } }),
  (random) => ({ slowStartMs: time(random) }),
  (random) => ({ limits: { connections: count(random), queue: count(random) } }),
  () => ({ endpointCookie: true }),
  () => ({ passthrough: true }),
  (random) => ({ protocol: kind(random) }),
  (random) => ({ protocol: 2 as const, proxyProtocol: pick(random, [1, 2] as const) }),
  (random) => ({ proxyProtocol: kind(random) }),
];

/** Settings as only a hub or relay gone bad would send them. */
export function hostileSettings(random: Random, leaf: TestLeaf): Settings {
  return several(random, parts, leaf);
}

type Fields = Record<string, unknown>;

const durations = ['0s', '1ms', '24h', '25h', '999999999999h', '-1s', '1e9s', ''] as const;
const wrong = [0, 1, -1, 1.5, 100, 1_000_001, 1e308, 'NaN', null, [], {}] as const;

const fieldParts: readonly ((random: Random, leaf: TestLeaf) => Fields)[] = [
  (random) => ({ balance: { algorithm: 'Hash', hash: { header: token(random) } } }),
  (random) => ({ balance: { algorithm: 'Hash', hash: { cookie: token(random) } } }),
  (random) => ({ balance: { algorithm: pick(random, ['LeastConnections', 'Random', hostileText(random)]) } }),
  (random) => ({ healthCheck: { type: 'HTTP', path: hostileIn(random, 'path') } }),
  (random) => ({ healthCheck: { type: 'HTTP', path: `/${MARK}`, host: host(random) } }),
  (random) => ({ healthCheck: { type: 'HTTP', status: { from: pick(random, wrong), to: 399 } } }),
  (random) => ({ healthCheck: { type: 'GRPC', grpcService: token(random) } }),
  (random) => ({ healthCheck: { type: hostileText(random), interval: hostileText(random) } }),
  (random) => ({ healthCheck: { rise: pick(random, wrong), fall: pick(random, wrong), port: pick(random, wrong) } }),
  (random) => ({ healthCheck: { interval: pick(random, durations), timeout: pick(random, durations) } }),
  (random, leaf) => ({ backendTLS: { hostname: host(random), ca: authority(random, leaf) } }),
  (random) => ({ backendTLS: { insecure: true, hostname: host(random) } }),
  (random) => ({ timeouts: { connect: pick(random, durations), response: pick(random, durations) } }),
  (random) => ({ timeouts: { [pick(random, ['queue', 'tunnel', hostileText(random)])]: pick(random, durations) } }),
  (random) => ({ retries: { attempts: pick(random, wrong), on: [hostileText(random)] } }),
  () => ({ retries: { attempts: 2, on: ['EmptyResponse', 'GatewayError'] } }),
  (random) => ({ outlier: { consecutiveErrors: pick(random, wrong), ejectFor: pick(random, durations) } }),
  (random) => ({ slowStart: pick(random, [...durations, hostileText(random)]) }),
  (random) => ({ limits: { connections: pick(random, wrong), queue: 1 } }),
  () => ({ affinity: { endpoint: true } }),
  (random) => ({ passthrough: pick(random, [true, hostileText(random)]) }),
  (random) => ({ backendProtocol: pick(random, ['HTTP2', hostileText(random)]) }),
  (random) => ({ proxyProtocol: pick(random, ['V1', 'V2', hostileText(random)]) }),
];

/** The same as fields of a TrafficPolicy. */
export function hostileFields(random: Random, leaf: TestLeaf): Fields {
  return several(random, fieldParts, leaf);
}

/** One part, or two: with more of them hardly anything would be taken. */
function several<T extends object>(
  random: Random,
  from: readonly ((random: Random, leaf: TestLeaf) => T)[],
  leaf: TestLeaf,
): T {
  const one = pick(random, from)(random, leaf);
  return random() < 0.5 ? one : { ...one, ...pick(random, from)(random, leaf) };
}
