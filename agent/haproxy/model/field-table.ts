/**
 * How a setting reaches HAProxy. map: a value looked up by the fixed rules; runtime: a command of the runtime API;
 * backend: a directive that only a file can hold, so a change of it costs a reload; start: an operator's flag,
 * fixed for the life of the process.
 */
export type Reach = 'map' | 'runtime' | 'backend' | 'start';

export interface Field {
  readonly of: 'route' | 'backend' | 'settings' | 'certificate' | 'peer' | 'listener';
  readonly setting: string;
  readonly reach: Reach;
  /** Map, command or directive. */
  readonly by: string;
  /** For `backend`: why only a file can hold it. */
  readonly why?: string;
}

const WHOLE_BACKEND = 'a directive of the whole backend, which the runtime API cannot change';

/** Every setting that exists now; a new one begins with a line here. */
export const fieldTable: readonly Field[] = [
  { of: 'route', setting: 'host', reach: 'map', by: 'path.map; host.map, wildcard.map for `*.`' },
  { of: 'route', setting: 'path and path type', reach: 'map', by: 'path.map' },
  {
    of: 'route',
    setting: 'path by regular expression',
    reach: 'map',
    by: 'regex.map; regex-00.map to regex-37.map by host',
  },
  { of: 'route', setting: 'default backend, rules without a host', reach: 'map', by: 'path.map' },
  { of: 'route', setting: 'shares of clusters', reach: 'map', by: 'path.map' },
  { of: 'route', setting: 'fallbacks', reach: 'map', by: 'path.map' },
  { of: 'route', setting: 'affinity', reach: 'map', by: 'path.map, sticky.map' },
  { of: 'route', setting: 'own contribution, as gateways may ask for it', reach: 'map', by: 'gateway.map' },
  { of: 'backend', setting: 'service and port', reach: 'map', by: 'a slot of the pool, named in path.map' },
  {
    of: 'backend',
    setting: 'which settings it has',
    reach: 'map',
    by: 'another slot of their profile, named in path.map',
  },
  { of: 'backend', setting: 'endpoints', reach: 'runtime', by: 'add server, del server' },
  { of: 'backend', setting: 'draining endpoints', reach: 'runtime', by: 'set server … weight' },
  { of: 'settings', setting: 'timeouts.connect', reach: 'backend', by: 'timeout connect', why: WHOLE_BACKEND },
  { of: 'settings', setting: 'timeouts.queue', reach: 'backend', by: 'timeout queue', why: WHOLE_BACKEND },
  {
    of: 'settings',
    setting: 'timeouts.response, its first use',
    reach: 'backend',
    by: 'http-request set-timeout server',
    why: 'the rule that looks it up costs requests time, so only backends in need of it have it',
  },
  { of: 'settings', setting: 'timeouts.response, its value', reach: 'map', by: 'response.map' },
  {
    of: 'settings',
    setting: 'timeouts.tunnel, its first use',
    reach: 'backend',
    by: 'http-request set-timeout tunnel',
    why: 'the rule that looks it up costs requests time, so only backends in need of it have it',
  },
  { of: 'settings', setting: 'timeouts.tunnel, its value', reach: 'map', by: 'tunnel.map' },
  { of: 'settings', setting: 'retries.attempts', reach: 'backend', by: 'retries', why: WHOLE_BACKEND },
  {
    of: 'settings',
    setting: 'retries.on',
    reach: 'backend',
    by: 'retry-on, which for GET, HEAD, OPTIONS and TRACE always has empty-response',
    why: WHOLE_BACKEND,
  },
  {
    of: 'settings',
    setting: 'balance.algorithm',
    reach: 'backend',
    by: 'balance; hash-type consistent; id of servers',
    why: 'the structure that servers are chosen from is made when HAProxy starts',
  },
  {
    of: 'settings',
    setting: 'balance.hash (header, cookie, source)',
    reach: 'backend',
    by: 'argument of balance',
    why: 'HAProxy takes a name there, not a variable',
  },
  {
    of: 'settings',
    setting: 'healthCheck.type HTTP, path, host, status',
    reach: 'backend',
    by: 'option httpchk; http-check send, expect',
    why: 'what a check sends and expects belongs to the backend, not to its servers',
  },
  {
    of: 'settings',
    setting: 'healthCheck.type GRPC, grpcService',
    reach: 'backend',
    by: 'option tcp-check; tcp-check send-binary (a call over HTTP/2), expect',
    why: 'what a check sends and expects belongs to the backend, not to its servers',
  },
  { of: 'settings', setting: 'healthCheck.type TCP, None', reach: 'runtime', by: 'check of add server, or none' },
  { of: 'settings', setting: 'healthCheck.timeout', reach: 'backend', by: 'timeout check', why: WHOLE_BACKEND },
  {
    of: 'settings',
    setting: 'healthCheck.interval, rise, fall, port',
    reach: 'runtime',
    by: 'inter, rise, fall, port of add server',
  },
  {
    of: 'settings',
    setting: 'outlier.consecutiveErrors, serverErrors',
    reach: 'runtime',
    by: 'observe layer4 or layer7, error-limit, on-error mark-down of add server',
  },
  {
    of: 'settings',
    setting: 'outlier.ejectFor',
    reach: 'runtime',
    by: 'fastinter, downinter and rise 2 of add server: from ejectFor to ejectFor and one interval',
  },
  {
    of: 'settings',
    setting: 'outlier.maxEjectedPercent',
    reach: 'runtime',
    by: 'the agent looks five times a second: set server … health up',
  },
  { of: 'settings', setting: 'slowStart', reach: 'runtime', by: 'slowstart of add server; in 16 steps' },
  { of: 'settings', setting: 'limits.connections', reach: 'runtime', by: 'maxconn of add server' },
  {
    of: 'settings',
    setting: 'limits.queue, its first use',
    reach: 'backend',
    by: 'http-request return 503 where avg_queue has reached it',
    why: 'maxqueue of a server holds only for requests that a cookie sends there',
  },
  { of: 'settings', setting: 'limits.queue, its value', reach: 'map', by: 'queue.map; maxqueue of add server' },
  {
    of: 'settings',
    setting: 'affinity.endpoint',
    reach: 'backend',
    by: 'cookie … dynamic, dynamic-cookie-key; on 2.6 enable dynamic-cookie after each add server',
    why: WHOLE_BACKEND,
  },
  { of: 'settings', setting: 'backendProtocol', reach: 'runtime', by: 'proto h2, alpn of add server' },
  {
    of: 'settings',
    setting: 'backendTLS.hostname, insecure',
    reach: 'runtime',
    by: 'ssl, sni, verify, verifyhost of add server',
  },
  { of: 'settings', setting: 'backendTLS.ca', reach: 'runtime', by: 'new, set, commit, del ssl ca-file' },
  { of: 'settings', setting: 'proxyProtocol', reach: 'runtime', by: 'send-proxy, send-proxy-v2 of add server' },
  {
    of: 'settings',
    setting: 'passthrough',
    reach: 'backend',
    by: 'mode tcp',
    why: 'a backend speaks HTTP or passes bytes on: its mode is fixed',
  },
  { of: 'certificate', setting: 'chain and key', reach: 'runtime', by: 'new, set, commit ssl cert' },
  { of: 'certificate', setting: 'hosts', reach: 'runtime', by: 'add, del ssl crt-list' },
  { of: 'peer', setting: 'gateway addresses', reach: 'runtime', by: 'add server, del server in a peer slot' },
  { of: 'peer', setting: 'name of the gateway certificate', reach: 'runtime', by: 'options of add server; peer.map' },
  { of: 'peer', setting: 'affinity tag', reach: 'map', by: 'tag.map' },
  { of: 'listener', setting: 'default certificate', reach: 'runtime', by: 'set, commit ssl cert' },
  { of: 'listener', setting: 'gateway certificate', reach: 'runtime', by: 'set, commit ssl cert' },
  { of: 'listener', setting: 'gateway CAs, HAProxy 3.2.8 or later', reach: 'runtime', by: 'set, commit ssl ca-file' },
  {
    of: 'listener',
    setting: 'gateway CAs, HAProxy before 3.2.8',
    reach: 'backend',
    by: 'ca-file',
    why: 'once it has changed at runtime, that HAProxy takes no new gateway certificate, and the next change may crash it',
  },
  { of: 'listener', setting: 'addresses of HTTP, HTTPS, gateway', reach: 'start', by: 'bind' },
  { of: 'listener', setting: 'PROXY protocol', reach: 'start', by: 'bind … accept-proxy' },
  { of: 'listener', setting: 'TLS pass-through', reach: 'start', by: 'a TCP front before the terminating frontend' },
  { of: 'listener', setting: 'SNI names passed through', reach: 'map', by: 'passthrough.map, host.map' },
];

const explained: Readonly<Record<Reach, string>> = {
  map: 'a value looked up by the fixed rules; no reload',
  runtime: 'a command of the runtime API; no reload',
  backend:
    'a directive that only a file can hold: it makes a profile with spare backends of its own. A profile that is new, or has no spare left, costs one reload; those keep 5 s apart and share it',
  start: 'a flag of the agent, fixed while HAProxy runs',
};

/** docs/field-table.md. */
export function fieldTableMarkdown(): string {
  const reaches = Object.entries(explained).map(([reach, meaning]) => `- _${reach}_: ${meaning}`);
  const cells = [
    ['of', 'setting', 'reaches HAProxy as', 'by', 'why only a file can hold it'],
    ...fieldTable.map(({ of, setting, reach, by, why = '' }) => [of, setting, reach, by, why]),
  ];
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  const rows = cells.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`);
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [
    '# How settings reach HAProxy',
    '',
    'Written from `agent/haproxy/model/field-table.ts` by its test (`UPDATE_DOCS=1`).',
    '',
    ...reaches,
    '',
    'Rows of _settings_ are fields of a TrafficPolicy. Where nothing is set: round robin; a TCP check every 2 s, one that',
    'failed or was taken out every 0.5 s; one failed connection takes an endpoint out; 2 s to connect and to queue, 60 s for a',
    'response, 1 h for a tunnel; a connection that failed is tried 2 times more, on other endpoints. A changed setting is a',
    'new backend beside the old one: requests turn to it at once, and those that run end where they are.',
    '',
    ...rows.slice(0, 1),
    rule,
    ...rows.slice(1),
    '',
  ].join('\n');
}
