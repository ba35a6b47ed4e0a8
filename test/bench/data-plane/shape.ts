import { renderFiles } from '../../../agent/haproxy/render/files.ts';
import type { Fixed } from '../../../agent/haproxy/model/desired.ts';
import { files as names } from '../../../agent/haproxy/model/names.ts';
import { Planner } from '../../../agent/haproxy/plan/planner.ts';
import { ROUTE_ID } from '../../../agent/haproxy/render/rules/splitting.ts';
import { backend, endpoints, host, split } from '../../../agent/haproxy/testing/resources.fixture.ts';
import { SHARE_UNITS } from '../../../lib/split/types.ts';

/** One way to write the same routing down. */
export interface Shape {
  readonly what: string;
  /**
   * Sections for the hosts `h0.bench.example` and on, each with Prefix `/` and one service, and the maps they read.
   * @param features rules of `featureRules`, to be put where a route is known.
   */
  sections(size: number, upstream: number, bind: string, features: (route: string) => readonly string[]): Written;
}

export interface Written {
  readonly lines: readonly string[];
  readonly files: ReadonlyMap<string, string>;
}

/** Slots of servers that a controller without dynamic servers keeps for each service. */
const SLOTS = 42;
/** One tenant in so many has a setting of its own. */
const GUARDED = 10;

const hosts = (size: number): string[] => Array.from({ length: size }, (_, i) => `h${i}.bench.example`);
const map = (entries: readonly string[]): string => entries.map((entry) => `${entry}\n`).join('');

const text = (sample: string): string => `"%[${sample},json(utf8s)]"`;

const slots = (upstream: number): string[] =>
  Array.from({ length: SLOTS }, (_, i) => `  server s${i} 127.0.0.1:${upstream}${i === 0 ? '' : ' disabled'}`);

const settings = (size: number, route: string): string[] =>
  Array.from(
    { length: Math.floor(size / GUARDED) },
    (_, i) => `  http-request deny if { ${route} -m str r${i * GUARDED} } { src 192.0.2.1 }`,
  );

export const bare: Shape = {
  what: 'bare default_backend',
  sections: (_, upstream, bind) => ({
    lines: [
      'frontend in',
      `  bind ${bind}`,
      '  default_backend all',
      'backend all',
      `  server s 127.0.0.1:${upstream}`,
    ],
    files: new Map(),
  }),
};

/** Host map, exact path map, prefix path map in a chain; one guarded rule per tenant's setting; 42 slots. */
export const chain: Shape = {
  what: 'chain of maps, a rule per setting, 42 slots',
  sections: (size, upstream, bind, features) => ({
    lines: [
      'frontend in',
      `  bind ${bind}`,
      '  http-request set-var(txn.base) base',
      '  http-request set-var(txn.path) path',
      '  http-request set-var(txn.host) req.hdr(host),field(1,:),lower',
      '  http-request set-var(txn.match) var(txn.host),map(host.map)',
      "  http-request set-var(txn.match) var(txn.host),regsub(^[^.]*,,),map(host.map,'') if !{ var(txn.match) -m found }",
      '  http-request set-var(txn.to) var(txn.match),concat(,txn.path),map(exact.map)',
      '  http-request set-var(txn.to) var(txn.match),concat(,txn.path),map_beg(prefix.map) if !{ var(txn.to) -m found }',
      ...settings(size, 'var(txn.to),field(1,.)'),
      '  http-request set-header x-forwarded-proto http',
      '  option forwardfor',
      ...features('var(txn.to),field(1,.)'),
      '  use_backend %[var(txn.to),field(2,.)]',
      'backend all',
      ...slots(upstream),
    ],
    files: new Map([
      ['host.map', map(hosts(size).map((name) => `${name} ${name}`))],
      ['exact.map', ''],
      ['prefix.map', map(hosts(size).map((name, i) => `${name}/ r${i}.all`))],
    ]),
  }),
};

/** `map_dir` for Prefix, `map_reg` for wildcards. */
export const directories: Shape = {
  what: 'map_dir, map_reg',
  sections: (size, upstream, bind, features) => ({
    lines: [
      'frontend in',
      `  bind ${bind}`,
      '  http-request set-var(txn.path) path',
      '  http-request set-var(txn.host) req.hdr(host),field(1,:),lower',
      "  http-request set-var(txn.base) var(txn.host),concat('#',txn.path)",
      '  http-request set-var(txn.to) var(txn.base),map_str(exact.map)',
      '  http-request set-var(txn.to) var(txn.base),map_dir(prefix.map) if !{ var(txn.to) -m found }',
      '  http-request set-var(txn.to) var(txn.base),map_reg(wildcard.map) if !{ var(txn.to) -m found }',
      '  http-request set-header x-forwarded-proto http',
      '  option forwardfor',
      ...features('var(txn.to),field(1,.)'),
      '  use_backend %[var(txn.to),field(2,.)]',
      'backend all',
      `  server s 127.0.0.1:${upstream}`,
    ],
    files: new Map([
      ['exact.map', ''],
      ['prefix.map', map(hosts(size).map((name, i) => `${name}#/ r${i}.all`))],
      ['wildcard.map', map(hosts(Math.floor(size / GUARDED)).map((name, i) => `^[^.]+\\.${name}#/ w${i}.all`))],
    ]),
  }),
};

/** What the planner and the renderer make for an entry of a fleet of three, with two clusters to fall back to. */
export function headgate(credentials: Pick<Fixed, 'gatewayCertificate' | 'gatewayCa' | 'defaultCertificate'>): Shape {
  return {
    what: 'Headgate',
    sections: (size, upstream, bind, features) => {
      const none = new Map<string, number>();
      const assignments = { slots: 64, profiles: [], peerSlots: 4, backends: none, peers: none };
      const planner = new Planner({ cluster: 'eu', assignments });
      const at = { eu: 'bench/s/80', us: 'bench/s/80', ap: 'bench/s/80' };
      const shares = [{ cluster: 'eu', share: SHARE_UNITS }];
      const { rejections } = planner.apply({
        upserts: [
          backend('bench/s/80'),
          endpoints('bench/s', upstream, ['127.0.0.1']),
          ...hosts(size).flatMap((name) => [
            host(name, [{ path: '/', at }]),
            split(name, [{ path: '/', shares, fallbacks: ['us', 'ap'] }]),
          ]),
        ],
        removals: [],
      });
      if (rejections[0] !== undefined) throw new Error(rejections[0].message);
      const files = renderFiles(planner.desired, {
        ...credentials,
        cluster: 'eu',
        listeners: {
          http: bind,
          https: 'unix@run/https.sock',
          gateway: 'unix@run/gateway.sock',
          proxyProtocol: false,
          tlsPassthrough: false,
        },
        threads: 1,
        cookieKey: 'k',
      });
      const lines = (files.get(names.base) ?? '').split('\n');
      const known = lines.findIndex((line) => line.includes('map_beg(maps/path.map)')) + 1;
      files.delete(names.base);
      return { lines: [...lines.slice(0, known), ...features(ROUTE_ID), ...lines.slice(known)], files };
    },
  };
}

/** As they are to be rendered for a route with a rate limit and the access log: a stick table and a line of JSON. */
export function featureRules(route: string): string[] {
  const line = [
    '"ts":%Ts,"ms":%Ta,"status":%ST,"bytes":%B,"backend":"%b","server":"%s"',
    `"host":${text('var(txn.asked)')},"path":${text('var(txn.path)')},"route":${text(route)}`,
  ];
  return [
    `  http-request track-sc0 ${route} table limit`,
    '  http-request deny deny_status 429 if { sc_http_req_rate(0,limit) gt 1000000000 }',
    '  http-request set-var(txn.asked) req.fhdr(host)',
    '  log ring@access len 8192 format raw local0',
    `  log-format '{${line.join(',')}}'`,
  ];
}

/** Sections that featureRules name. */
export const featureSections = [
  'ring access',
  '  format raw',
  '  maxlen 8192',
  '  size 1048576',
  'backend limit',
  '  stick-table type string len 64 size 200k expire 10s store http_req_rate(1s)',
];
