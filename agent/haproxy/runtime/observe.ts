import { HeadgateError } from '../../../lib/errors.ts';
import { files, mapFile, mapNames } from '../model/names.ts';
import type { MapName } from '../model/names.ts';
import type { RuntimeClient } from './client.ts';
import { query } from './command.ts';

export interface ObservedMap {
  readonly entries: ReadonlyMap<string, string>;
  /** Keys that stand more than once. */
  readonly repeated: ReadonlySet<string>;
}

export interface ObservedServer {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly maintenance: boolean;
  /** Checks, or requests that failed, have taken it out. */
  readonly down: boolean;
  /** What requests met there has taken it out, and no check has failed since. */
  readonly ejected: boolean;
}

/** What a worker holds of what can change at runtime. */
export interface Observed {
  readonly maps: ReadonlyMap<MapName, ObservedMap>;
  readonly backends: ReadonlySet<string>;
  readonly servers: ReadonlyMap<string, ReadonlyMap<string, ObservedServer>>;
  /** Lines of the list of certificates: file → hosts as written. */
  readonly list: ReadonlyMap<string, string>;
  /** File → SHA-1 fingerprint of the leaf that is loaded, upper-case hex. */
  readonly fingerprints: ReadonlyMap<string, string>;
  /** Files of CAs that endpoints are verified by. */
  readonly authorities: ReadonlySet<string>;
  /** SHA-1 fingerprints of the CAs that gateways are verified by. */
  readonly gatewayCas: ReadonlySet<string>;
}

/** Asks a worker for everything. @throws HG5003 where it does not answer. */
export async function observe(client: RuntimeClient): Promise<Observed> {
  const replies = await client.send([
    ...mapNames.map((map) => query(`show map ${mapFile(map)}`)),
    query('show backend'),
    query('show servers state'),
    query(`show ssl crt-list ${files.crtList}`),
    query('show ssl cert'),
    query('show ssl ca-file'),
    query(`show ssl ca-file ${files.gatewayCa}`),
  ]);
  // A map that no rule of this configuration names is not loaded.
  const refused = replies.find(({ ok, text }) => !ok && !text.startsWith('Unknown map identifier'));
  if (refused !== undefined) {
    throw new HeadgateError('HG5003', `HAProxy refused ${refused.command.text}: ${refused.text}`);
  }
  const [backends, servers, list, certificates, authorities, gatewayCas] = replies
    .slice(mapNames.length)
    .map(({ text }) => text);
  const names = lines(certificates).filter((name) => !name.startsWith('*'));
  const details = await client.send(names.map((name) => query(`show ssl cert ${name}`)));
  return {
    maps: new Map(
      mapNames.flatMap((map, i): [MapName, ObservedMap][] =>
        replies[i]?.ok === true ? [[map, parseMap(replies[i].text)]] : [],
      ),
    ),
    backends: new Set(lines(backends)),
    servers: parseServers(servers),
    list: parseList(list),
    // `<file> - <n> certificate(s)` a line; what was begun and not committed holds none.
    authorities: new Set(
      lines(authorities).flatMap((line) => /^(certs\/ca-[0-9a-f]+\.pem) - [1-9]/.exec(line)?.[1] ?? []),
    ),
    fingerprints: new Map(
      names.flatMap((name, i): [string, string][] => {
        const [print] = fingerprints(details[i]?.text);
        return print === undefined ? [] : [[name, print]];
      }),
    ),
    gatewayCas: new Set(fingerprints(gatewayCas)),
  };
}

function fingerprints(text = ''): string[] {
  return [...text.matchAll(/^SHA1 FingerPrint: ([0-9A-F]{40})$/gm)].map(([, print = '']) => print);
}

/** Asks a worker for its servers alone. @throws HG5003 where it does not answer. */
export async function observeServers(client: RuntimeClient): Promise<Observed['servers']> {
  return parseServers(await client.ask('show servers state'));
}

/** Lines of servers that are stopped: their operational state is 0. */
const DOWN = /^\d+ \S+ \d+ \S+ \S+ 0 .*$/gm;

/**
 * Asks a worker for those of its servers that are down; what is said of the many others is not read.
 * @throws HG5003 where it does not answer.
 */
export async function observeDown(client: RuntimeClient): Promise<Observed['servers']> {
  const text = await client.ask('show servers state');
  return parseServers(text.match(DOWN)?.join('\n'));
}

/** Asks a worker for the servers of some backends. @throws HG5003 where it does not answer. */
export async function observeServersOf(
  client: RuntimeClient,
  backends: readonly string[],
): Promise<Observed['servers']> {
  const replies = await client.send(backends.map((name) => query(`show servers state ${name}`)));
  return parseServers(replies.map(({ text }) => text).join('\n'));
}

/** Lines that are no heading. */
function lines(text = ''): string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

/** `0x… key value` a line. */
export function parseMap(text: string | undefined): ObservedMap {
  const entries = new Map<string, string>();
  const repeated = new Set<string>();
  for (const line of lines(text)) {
    const [, key, value] = /^0x[0-9a-f]+ (\S+) (.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) continue;
    if (entries.has(key)) repeated.add(key);
    entries.set(key, value);
  }
  return { entries, repeated };
}

/** HCHK_STATUS_HANA and CHK_RES_PASSED: numbers that HAProxy keeps for its state files. */
const HEALTH_ANALYSED = '4';
const PASSED = 3;

/** Columns after the version line and the heading; HAProxy manual (management), `show servers state`. */
export function parseServers(text: string | undefined): Map<string, Map<string, ObservedServer>> {
  const backends = new Map<string, Map<string, ObservedServer>>();
  for (const line of lines(text)) {
    const columns = line.split(' ');
    const [, backend, , name, address, operational, admin, weight] = columns;
    if (backend === undefined || name === undefined || address === undefined || columns.length < 19) continue;
    let servers = backends.get(backend);
    if (servers === undefined) backends.set(backend, (servers = new Map()));
    servers.set(name, {
      address,
      port: Number(columns[18]),
      weight: Number(weight),
      // Forced maintenance (0x01); what is inherited or comes from DNS does not occur here.
      maintenance: (Number(admin) & 1) !== 0,
      down: operational === '0',
      ejected: operational === '0' && (columns[10] === HEALTH_ANALYSED || Number(columns[11]) >= PASSED),
    });
  }
  return backends;
}

function parseList(text: string | undefined): Map<string, string> {
  return new Map(
    lines(text).map((line): [string, string] => {
      const [file = '', ...hosts] = line.split(' ');
      return [file, hosts.join(' ')];
    }),
  );
}
