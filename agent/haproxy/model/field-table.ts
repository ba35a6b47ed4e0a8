/**
 * How a setting reaches HAProxy. map: a value looked up by the fixed rules; runtime: a command of the runtime API;
 * backend: a directive that only a file can hold, so a change of it costs a reload; start: an operator's flag,
 * fixed for the life of the process.
 */
export type Reach = 'map' | 'runtime' | 'backend' | 'start';

export interface Field {
  readonly of: 'route' | 'backend' | 'certificate' | 'peer' | 'listener';
  readonly setting: string;
  readonly reach: Reach;
  /** Map, command or directive. */
  readonly by: string;
}

/** Every setting that exists now; a new one begins with a line here. */
export const fieldTable: readonly Field[] = [
  { of: 'route', setting: 'host', reach: 'map', by: 'host.map; wildcard.map for `*.`' },
  { of: 'route', setting: 'path and path type', reach: 'map', by: 'path.map' },
  {
    of: 'route',
    setting: 'path by regular expression',
    reach: 'map',
    by: 'regex.map; regex-00.map to regex-37.map by host',
  },
  { of: 'route', setting: 'default backend, rules without a host', reach: 'map', by: 'path.map' },
  { of: 'route', setting: 'shares of clusters', reach: 'map', by: 'split.map' },
  { of: 'route', setting: 'fallbacks', reach: 'map', by: 'split.map' },
  { of: 'route', setting: 'affinity', reach: 'map', by: 'split.map, sticky.map' },
  { of: 'route', setting: 'own contribution, as gateways may ask for it', reach: 'map', by: 'gateway.map' },
  { of: 'backend', setting: 'service and port', reach: 'map', by: 'a slot of the pool, named in split.map' },
  { of: 'backend', setting: 'endpoints', reach: 'runtime', by: 'add server, del server' },
  { of: 'backend', setting: 'draining endpoints', reach: 'runtime', by: 'set server … weight' },
  { of: 'backend', setting: 'health checks (TCP, default profile)', reach: 'runtime', by: 'options of add server' },
  { of: 'backend', setting: 'balance (round robin, default profile)', reach: 'backend', by: 'balance' },
  { of: 'backend', setting: 'timeouts and retries (default profile)', reach: 'backend', by: 'timeout, retries' },
  { of: 'certificate', setting: 'chain and key', reach: 'runtime', by: 'new, set, commit ssl cert' },
  { of: 'certificate', setting: 'hosts', reach: 'runtime', by: 'add, del ssl crt-list' },
  { of: 'peer', setting: 'gateway addresses', reach: 'runtime', by: 'add server, del server in a peer slot' },
  { of: 'peer', setting: 'name of the gateway certificate', reach: 'runtime', by: 'options of add server; peer.map' },
  { of: 'peer', setting: 'affinity tag', reach: 'map', by: 'tag.map' },
  { of: 'listener', setting: 'gateway certificate and CA', reach: 'runtime', by: 'set, commit ssl cert and ca-file' },
  { of: 'listener', setting: 'addresses of HTTP, HTTPS, gateway', reach: 'start', by: 'bind' },
  { of: 'listener', setting: 'PROXY protocol', reach: 'start', by: 'bind … accept-proxy' },
  { of: 'listener', setting: 'TLS pass-through', reach: 'start', by: 'a TCP front before the terminating frontend' },
  { of: 'listener', setting: 'SNI names passed through', reach: 'map', by: 'passthrough.map' },
];

const explained: Readonly<Record<Reach, string>> = {
  map: 'a value looked up by the fixed rules; no reload',
  runtime: 'a command of the runtime API; no reload',
  backend: 'a directive that only a file can hold; a change costs one reload',
  start: 'a flag of the agent, fixed while HAProxy runs',
};

/** docs/field-table.md. */
export function fieldTableMarkdown(): string {
  const reaches = Object.entries(explained).map(([reach, meaning]) => `- _${reach}_: ${meaning}`);
  const cells = [
    ['of', 'setting', 'reaches HAProxy as', 'by'],
    ...fieldTable.map(({ of, setting, reach, by }) => [of, setting, reach, by]),
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
    ...rows.slice(0, 1),
    rule,
    ...rows.slice(1),
    '',
  ].join('\n');
}
