import { hash } from 'node:crypto';

/**
 * Every file that HAProxy reads, relative to its working directory. HAProxy is started there, so neither the
 * configuration nor a runtime command ever holds the folder's own path, and the names below are also the names
 * by which the runtime API knows maps, certificates and lists.
 */
export const files = {
  /** What `-f` is given: HAProxy loads every *.cfg in it, in lexical order. */
  configuration: 'conf',
  base: 'conf/00-base.cfg',
  peers: 'conf/60-peers.cfg',
  crtList: 'certs/crt-list.txt',
  /** Self-made certificate for an unknown SNI; first in the list. */
  defaultCertificate: 'certs/default.pem',
  /** Own leaf, chain and key of the gateway link. */
  gatewayCertificate: 'gateway/gateway.pem',
  /** List of the gateway listener's certificate. */
  gatewayCertificates: 'gateway/crt-list.txt',
  gatewayCa: 'gateway/ca.pem',
  /** What a new worker must know of the servers that checks have failed; only while it is being loaded. */
  health: 'run/health.state',
} as const;

/** What the gateway listener answers other clusters' probes on. */
export const PROBE_PATH = '/headgate/probe';
/** Names the route of a request that crosses, or of a probe, by its id; lower-case as HTTP/2 has it. */
export const ROUTE_HEADER = 'x-headgate-route';
/** Tells the client's address of a request that crosses. */
export const CLIENT_HEADER = 'x-headgate-client';

/** Unix sockets, relative to the same folder. */
export const sockets = {
  worker: 'run/worker.sock',
  metrics: 'run/metrics.sock',
  /** From the TLS pass-through front to the terminating frontend. */
  terminate: 'run/terminate.sock',
} as const;

/** Maps of regular expressions, so that a request is tried against few hosts' besides its own. */
export const regexBuckets = (['0', '1', '2', '3'] as const).flatMap((high) =>
  (['0', '1', '2', '3', '4', '5', '6', '7'] as const).map((low) => `regex-${high}${low}` as const),
);

export type RegexBucket = (typeof regexBuckets)[number];

/** Two digits that name a bucket, in the keys of its hosts. */
export function bucketDigits(bucket: RegexBucket): string {
  return bucket.slice('regex-'.length);
}

/** What host.map and wildcard.map give begins with it for a host whose requests need the last rules. */
export const HOST_MARK = '~';
/** The same for one whose TLS passes through, so that HTTP has nothing to serve there. */
export const PASSED_MARK = '~>';

/**
 * path: host name + normal path + `#` → all of the route (longest prefix, see path-entries and route-value); the same
 * by host id for wildcards, hosts with regular expressions and "*". Asked on a miss: host: host name → host id,
 * wildcard: what follows `*.` → host id. sticky: cluster tag `.` route id → backend; gateway: route id → own
 * slot; peer: client certificate's CN → cluster; tag: peer slot → cluster tag; passthrough: SNI → backend; response,
 * tunnel: slot → milliseconds, queue: slot → requests that may wait for each endpoint; asked by slots of profiles that
 * have such. kept: slots that send every request over pooled connections.
 */
export const mapNames = [
  'host',
  'wildcard',
  'path',
  'sticky',
  'gateway',
  'peer',
  'tag',
  'passthrough',
  'response',
  'tunnel',
  'queue',
  'kept',
  'regex',
  ...regexBuckets,
] as const;

export type MapName = (typeof mapNames)[number];

export function mapFile(map: MapName): string {
  return `maps/${map}.map`;
}

/** Slots in one configuration file: a change rewrites that much. */
export const SLOTS_PER_FILE = 64;

export function slotFile(slot: number): string {
  return `conf/50-slots-${String(Math.floor(slot / SLOTS_PER_FILE)).padStart(4, '0')}.cfg`;
}

export function slotName(slot: number): string {
  return `s${String(slot).padStart(4, '0')}`;
}

export function peerSlotName(slot: number): string {
  return `p${String(slot).padStart(2, '0')}`;
}

/** HAProxy backend that answers 503 to everything. */
export const NOTHING = 'nothing';

/** Id of a host in map keys: fixed length, so no host's keys are a prefix of another's; "!" is in no host's name. */
export function hostId(host: string): string {
  return `${hash('sha256', host, 'hex').slice(0, 12)}!`;
}

/**
 * @param treatment digest of the settings, where they are not the defaults: a server that still ends its streams in a
 * slot keeps the options it was added with, so one with others must not have its name.
 */
export function serverName(address: string, port: number, treatment = ''): string {
  return `e-${hash('sha256', `${address} ${port}${treatment}`, 'hex').slice(0, 12)}`;
}

/** Opaque name of a cluster in affinity cookies. */
export function clusterTag(cluster: string): string {
  return hash('sha256', `headgate affinity ${cluster}`, 'hex').slice(0, 12);
}

/**
 * What HAProxy makes the names of endpoints in cookies with: every node of a cluster makes the same, and they say
 * nothing of the endpoint's address to who does not try them all.
 */
export function cookieKey(cluster: string): string {
  return hash('sha256', `headgate endpoint ${cluster}`, 'hex').slice(0, 32);
}

/**
 * File of a certificate. The hosts are part of the name: other hosts make another file and list entry, so the
 * new entry stands before the old one goes.
 */
export function certificateFile(resourceName: string, hosts: readonly string[]): string {
  return `certs/c-${hash('sha256', [resourceName, ...hosts].join('\0'), 'hex').slice(0, 16)}.pem`;
}

/** File of the CAs that endpoints are verified by. */
export function authorityFile(pem: string): string {
  return `certs/ca-${hash('sha256', pem, 'hex').slice(0, 16)}.pem`;
}
