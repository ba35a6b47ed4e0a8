import { hash } from 'node:crypto';
import { z } from 'zod';
import {
  Algorithm,
  BackendProtocol,
  BackendSettings,
  CheckType,
  type HealthCheck,
  RetryOn,
} from '../../../proto/gen/headgate/v1/configured.ts';

const check = z.discriminatedUnion('type', [
  z.object({ type: z.literal('connect') }),
  z.object({
    type: z.literal('http'),
    path: z.string(),
    host: z.string(),
    from: z.int(),
    to: z.int(),
  }),
  z.object({ type: z.literal('grpc'), service: z.string() }),
]);

const balance = z.discriminatedUnion('by', [
  z.object({ by: z.enum(['round-robin', 'least-connections', 'random', 'source']) }),
  z.object({ by: z.enum(['header', 'cookie']), name: z.string() }),
]);

const retryCause = z.enum(['empty-response', 'response-timeout', 'gateway-error']);

/** Also what an agent reads of it in the state that another one left. */
export const profileSchema = z.object({
  mode: z.enum(['http', 'tcp']),
  balance,
  check,
  /** Milliseconds; 0: as in the defaults section. */
  checkTimeout: z.int(),
  connectTimeout: z.int(),
  queueTimeout: z.int(),
  /** undefined: as in the defaults section. */
  retries: z.object({ attempts: z.int(), on: z.array(retryCause) }).optional(),
  /** A cookie of HAProxy's own names the endpoint. */
  cookie: z.boolean(),
  /** Timeouts are looked up by the slot's name. */
  timed: z.boolean(),
  /** The limit of waiting requests is looked up by the slot's name. */
  queued: z.boolean(),
});

/**
 * What of a backend's settings only a file can hold. Slots of one profile are alike until servers are added, so
 * each profile has spares of its own.
 */
export type Profile = z.output<typeof profileSchema>;
export type RetryCause = z.output<typeof retryCause>;

const causes: Readonly<Record<RetryOn, RetryCause | undefined>> = {
  [RetryOn.UNSPECIFIED]: undefined,
  [RetryOn.CONNECT_FAILURE]: undefined,
  [RetryOn.EMPTY_RESPONSE]: 'empty-response',
  [RetryOn.RESPONSE_TIMEOUT]: 'response-timeout',
  [RetryOn.GATEWAY_ERROR]: 'gateway-error',
  [RetryOn.UNRECOGNIZED]: undefined,
};

/** Settings with everything at its default. */
export const DEFAULT_SETTINGS: BackendSettings = BackendSettings.create();

export function profileOf(settings: BackendSettings): Profile {
  const { timeouts, healthCheck, retries, passthrough, limits } = settings;
  const common = {
    check: checkOf(healthCheck, passthrough),
    checkTimeout: Number(healthCheck?.timeoutMs ?? 0n),
    connectTimeout: Number(timeouts?.connectMs ?? 0n),
    queueTimeout: Number(timeouts?.queueMs ?? 0n),
    queued: (limits?.queue ?? 0) > 0,
  };
  if (passthrough) {
    return { mode: 'tcp', balance: balanceOf(settings), ...common, cookie: false, timed: false };
  }
  return {
    mode: 'http',
    balance: balanceOf(settings),
    ...common,
    ...(retries === undefined
      ? {}
      : {
          retries: {
            attempts: retries.attempts,
            on: [...new Set(retries.on.flatMap((one) => causes[one] ?? []))].sort(),
          },
        }),
    cookie: settings.endpointCookie,
    timed: timeouts !== undefined && (timeouts.responseMs > 0n || timeouts.tunnelMs > 0n),
  };
}

/** Whether every request goes over pooled connections: TLS and HTTP/2 are too dear, or unable, to be opened for one. */
export function keepsAll({ tls, protocol }: BackendSettings): boolean {
  return tls !== undefined || protocol === BackendProtocol.HTTP2;
}

export const DEFAULT_PROFILE: Profile = profileOf(DEFAULT_SETTINGS);

const ids = new WeakMap<Profile, string>();

/** Equal for equal profiles. */
export function profileId(profile: Profile): string {
  let id = ids.get(profile);
  if (id === undefined) {
    // Parsing gives the keys in the order of the schema.
    id = hash('sha256', JSON.stringify(profileSchema.parse(profile)), 'hex').slice(0, 12);
    ids.set(profile, id);
  }
  return id;
}

export const DEFAULT_PROFILE_ID: string = profileId(DEFAULT_PROFILE);

/** Names of the settings in which a profile differs from the default one, for people. */
export function profileWords(profile: Profile): string {
  const differing = Object.entries(profileSchema.parse(profile))
    .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(DEFAULT_PROFILE[name as keyof Profile]))
    .map(([name]) => name);
  return differing.join(', ') || 'none';
}

/**
 * Names a HAProxy backend: the backend resource, and where its settings are not the defaults a digest of them. Routes
 * of one Service with other settings have another.
 */
export function slotKey(backend: string, settings: BackendSettings): string {
  const bytes = BackendSettings.encode(settings).finish();
  return bytes.length === 0 ? backend : `${backend}#${hash('sha256', bytes, 'hex').slice(0, 12)}`;
}

/** The backend resource that a slot's key names: <namespace>/<service>/<port>. */
export function backendOfKey(key: string): string {
  return key.split('#', 1)[0] ?? key;
}

/** Of the settings in a slot's key; empty for the defaults. */
export function treatmentOfKey(key: string): string {
  return key.slice(backendOfKey(key).length);
}

function balanceOf({ balance: wanted, passthrough }: BackendSettings): Profile['balance'] {
  if (wanted === undefined) return { by: 'round-robin' };
  switch (wanted.algorithm) {
    case Algorithm.LEAST_CONNECTIONS:
      return { by: 'least-connections' };
    case Algorithm.RANDOM:
      return { by: 'random' };
    case Algorithm.HASH:
      // What goes through as TLS shows neither headers nor cookies.
      if (wanted.hashSource || passthrough) return { by: 'source' };
      return wanted.hashHeader === ''
        ? { by: 'cookie', name: wanted.hashCookie }
        : { by: 'header', name: wanted.hashHeader.toLowerCase() };
    default:
      return { by: 'round-robin' };
  }
}

function checkOf(wanted: HealthCheck | undefined, passthrough: boolean): Profile['check'] {
  if (wanted === undefined || passthrough) return { type: 'connect' };
  switch (wanted.type) {
    case CheckType.HTTP: {
      const { path, host, statusFrom, statusTo } = wanted;
      const given = statusFrom !== 0 || statusTo !== 0;
      return {
        type: 'http',
        path: path || '/',
        host,
        from: given ? statusFrom : 200,
        to: given ? statusTo || statusFrom : 399,
      };
    }
    case CheckType.GRPC:
      return { type: 'grpc', service: wanted.grpcService };
    default:
      return { type: 'connect' };
  }
}
