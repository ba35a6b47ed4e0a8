import {
  Algorithm,
  BackendProtocol,
  type BackendSettings,
  type Balance,
  CheckType,
  type HealthCheck,
  ProxyProtocol,
  RetryOn,
} from '../../../proto/gen/headgate/v1/configured.ts';
import type { TrafficValues } from './values.ts';

type Fields = Omit<TrafficValues, 'tiers' | 'exposure' | 'onStale'>;

const protocols = { HTTP1: BackendProtocol.HTTP1, HTTP2: BackendProtocol.HTTP2 } as const;
const proxyProtocols = { V1: ProxyProtocol.V1, V2: ProxyProtocol.V2 } as const;
const retryOn = {
  ConnectFailure: RetryOn.CONNECT_FAILURE,
  EmptyResponse: RetryOn.EMPTY_RESPONSE,
  ResponseTimeout: RetryOn.RESPONSE_TIMEOUT,
  GatewayError: RetryOn.GATEWAY_ERROR,
} as const;
const algorithms = {
  RoundRobin: Algorithm.ROUND_ROBIN,
  LeastConnections: Algorithm.LEAST_CONNECTIONS,
  Random: Algorithm.RANDOM,
  Hash: Algorithm.HASH,
} as const;
const checkTypes = {
  TCP: CheckType.TCP,
  HTTP: CheckType.HTTP,
  GRPC: CheckType.GRPC,
  None: CheckType.NONE,
} as const;

/** undefined where every field has its default. */
export function encodeBackendSettings(values: Fields): BackendSettings | undefined {
  // What several policies settled may not go together: passing through wins, since nothing else can then be done.
  const { timeouts, retries, balance, healthCheck, outlier, slowStart, limits, affinity, ...given } =
    values.passthrough === true ? passedThrough(values) : values;
  const { backendProtocol, backendTLS, proxyProtocol, passthrough = false } = given;
  const endpointCookie = affinity?.endpoint === true;
  const present = [timeouts, retries, balance, healthCheck, outlier, limits, backendTLS];
  const chosen = [slowStart, backendProtocol, proxyProtocol];
  if (!passthrough && !endpointCookie && [...present, ...chosen].every((value) => value === undefined))
    return undefined;
  return {
    protocol: backendProtocol === undefined ? BackendProtocol.UNSPECIFIED : protocols[backendProtocol],
    tls:
      backendTLS === undefined
        ? undefined
        : { hostname: backendTLS.hostname ?? '', ca: backendTLS.ca ?? '', insecure: backendTLS.insecure },
    proxyProtocol: proxyProtocol === undefined ? ProxyProtocol.UNSPECIFIED : proxyProtocols[proxyProtocol],
    passthrough,
    timeouts:
      timeouts === undefined
        ? undefined
        : {
            connectMs: ms(timeouts.connect),
            queueMs: ms(timeouts.queue),
            responseMs: ms(timeouts.response),
            tunnelMs: ms(timeouts.tunnel),
          },
    retries:
      retries === undefined
        ? undefined
        : {
            attempts: retries.attempts,
            on: [...new Set(retries.on.map((when) => retryOn[when]))].sort((a, b) => a - b),
          },
    balance: balance === undefined ? undefined : encodeBalance(balance),
    healthCheck: healthCheck === undefined ? undefined : encodeHealthCheck(healthCheck),
    outlier:
      outlier === undefined
        ? undefined
        : {
            consecutiveErrors: outlier.consecutiveErrors ?? 0,
            serverErrors: outlier.serverErrors,
            ejectForMs: ms(outlier.ejectFor),
            maxEjectedPercent: outlier.maxEjectedPercent ?? 0,
          },
    slowStartMs: ms(slowStart),
    limits: limits === undefined ? undefined : { connections: limits.connections, queue: limits.queue ?? 0 },
    endpointCookie,
  };
}

/** What has a meaning for connections that stay closed. */
function passedThrough({ healthCheck, outlier, slowStart, limits, proxyProtocol, passthrough }: Fields): Fields {
  const byConnection = healthCheck?.type === 'TCP' || healthCheck?.type === 'None' ? healthCheck : undefined;
  return { healthCheck: byConnection, outlier, slowStart, limits, proxyProtocol, passthrough };
}

function encodeBalance({ algorithm, hash }: NonNullable<Fields['balance']>): Balance {
  return {
    algorithm: algorithms[algorithm],
    hashHeader: hash?.header ?? '',
    hashCookie: hash?.cookie ?? '',
    hashSource: hash?.source ?? false,
  };
}

function encodeHealthCheck(check: NonNullable<Fields['healthCheck']>): HealthCheck {
  return {
    type: checkTypes[check.type],
    intervalMs: ms(check.interval),
    timeoutMs: ms(check.timeout),
    rise: check.rise ?? 0,
    fall: check.fall ?? 0,
    port: check.port ?? 0,
    path: check.path ?? '',
    host: check.host ?? '',
    statusFrom: check.status?.from ?? 0,
    statusTo: check.status?.to ?? 0,
    grpcService: check.grpcService ?? '',
  };
}

function ms(duration: number | undefined): bigint {
  return BigInt(duration ?? 0);
}
