import { Translator } from '../../agent/cluster/translate/translator.ts';
import type { Change } from '../../agent/haproxy/model/change.ts';
import type { Fixed } from '../../agent/haproxy/model/desired.ts';
import { Planner } from '../../agent/haproxy/plan/planner.ts';
import { commandsFor } from '../../agent/haproxy/render/commands.ts';
import { renderFiles } from '../../agent/haproxy/render/files.ts';
import { encodeCommand } from '../../agent/haproxy/runtime/command.ts';
import { backend, certificate, endpoints, host, peer, split } from '../../agent/haproxy/testing/resources.fixture.ts';
import type { TestLeaf } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { bodyFor } from '../../hub/compile/body-for.ts';
import { compileHost } from '../../hub/compile/compile-host.ts';
import { checkReport } from '../../hub/ingest/check-report.ts';
import { encodeStoredReport } from '../../hub/ingest/stored-report.ts';
import { keys } from '../../hub/store/keys.ts';
import type { Entry } from '../../hub/store/store.ts';
import { readPathRegex } from '../../lib/domain/path-regex/path-regex.ts';
import { parseManifests } from '../../lib/manifest/parse.ts';
import { type Resource, resource } from '../../lib/sync/index.ts';
import {
  Backend,
  Certificate,
  Endpoints,
  EndpointState,
  Host,
  HostSplit,
  PathType,
  Peer,
} from '../../proto/gen/headgate/v1/configured.ts';
import { fleetOf } from '../hub/small-fleet.ts';
import { hostileIn, hostileText, MARK, pick, randomFrom } from './hostile-text.ts';
import { DEFAULT_CERTIFICATE, hostileManifests } from './hostile-manifests.ts';
import { hostileSettings } from './hostile-settings.ts';
import { faultsOfCommands, faultsOfFiles } from './rendered.ts';

export interface FuzzOutcome {
  /** Hostile texts put somewhere. */
  readonly cases: number;
  /** Resources that got as far as HAProxy's files. */
  readonly taken: number;
  /** With the seed of their round. Empty when all is well. */
  readonly faults: readonly string[];
}

const PER_ROUND = 40;
const CLUSTER = 'eu';

const fixed: Fixed = {
  cluster: CLUSTER,
  listeners: {
    http: '127.0.0.1:80',
    https: '127.0.0.1:443',
    gateway: '127.0.0.1:7444',
    proxyProtocol: false,
    tlsPassthrough: true,
  },
  gatewayCertificate: 'gateway\n',
  gatewayCa: 'ca\n',
  defaultCertificate: 'default\n',
  threads: undefined,
  cookieKey: 'k',
};

/** The whole way of a manifest: text, cluster agent, hub, node agent's files and commands. */
export function fuzzManifests(cases: number, seed: number, leaf: TestLeaf): FuzzOutcome {
  return rounds(cases, seed, (random) => {
    const texts = hostileManifests(random, PER_ROUND, leaf);
    const { documents } = parseManifests(texts.map((one) => JSON.stringify(one)).join('\n---\n'), 'f.yaml');
    const { report, own } = new Translator({ folder: true, defaultCertificate: DEFAULT_CERTIFICATE }).apply(
      { set: documents },
      Date.now(),
    );
    return [...compiled(report.upserts), ...own.upserts];
  });
}

/** Bodies as only a hub or relay gone bad would send them, straight to the node agent. */
export function fuzzBodies(cases: number, seed: number, leaf: TestLeaf): FuzzOutcome {
  return rounds(cases, seed, (random) => [
    backend('d/web/80'),
    endpoints('d/web', 8080, ['127.0.0.1', '::1']),
    ...Array.from({ length: PER_ROUND }, () => hostileBody(random, leaf)),
  ]);
}

function rounds(cases: number, seed: number, make: (random: () => number) => readonly Resource[]): FuzzOutcome {
  const plain = renderFiles(newPlanner().desired, fixed);
  const faults: string[] = [];
  let taken = 0;
  for (let round = 0; round * PER_ROUND < cases; round++) {
    const upserts = make(randomFrom(seed + round));
    const planner = newPlanner();
    const change = planner.apply({ upserts, removals: [] });
    taken += upserts.length - change.rejections.length;
    const files = renderFiles(planner.desired, fixed);
    const back = newChange(planner, upserts);
    const left = renderFiles(planner.desired, fixed);
    const wrong = [
      ...faultsOfFiles(files, plain),
      ...faultsOfFiles(left, plain),
      ...faultsOfChange(change),
      ...faultsOfChange(back),
      ...change.rejections.filter(({ code }) => code === 'HG9001').map(({ message }) => `our own mistake: ${message}`),
      ...strays(files),
    ];
    faults.push(...wrong.map((fault) => `round ${seed + round}: ${fault}`));
  }
  return { cases: Math.ceil(cases / PER_ROUND) * PER_ROUND, taken, faults };
}

function newPlanner(): Planner {
  const none = new Map<string, number>();
  return new Planner({
    cluster: CLUSTER,
    tlsPassthrough: true,
    selfMadeCertificate: fixed.defaultCertificate,
    assignments: { slots: 128, profiles: [], peerSlots: 64, backends: none, peers: none },
  });
}

/** Takes half of everything away again, and weights with it: keys of maps become arguments of commands. */
function newChange(planner: Planner, upserts: readonly Resource[]): Change {
  return planner.apply({
    upserts: [],
    removals: upserts.filter((_, i) => i % 2 === 0).map(({ type, name }) => ({ type, name })),
  });
}

function faultsOfChange(change: Change): string[] {
  const commands = commandsFor(change.ops, 'sni').map(({ command }) => command);
  try {
    return faultsOfCommands(commands.map(encodeCommand).join(''), commands.length);
  } catch (error) {
    return [(error as Error).message];
  }
}

/** Where tenants and other clusters name things, and bytes of certificates, which may spell anything: each line is held to its form. */
const MAY_HOLD_NAMES =
  /^(?:maps\/(?:host|wildcard|path|peer|passthrough|regex(?:-\d\d)?)\.map|certs\/(?:crt-list\.txt|c-[0-9a-f]{16}\.pem)|conf\/(?:50-slots-\d{4}|60-peers)\.cfg)$/;

function strays(files: ReadonlyMap<string, string>): string[] {
  return [...files]
    .filter(([name, text]) => name.includes(MARK) || (text.includes(MARK) && !MAY_HOLD_NAMES.test(name)))
    .map(([name]) => `${name}: holds a tenant's text`);
}

/** What the hub makes of a report, for its own cluster. */
function compiled(reports: readonly Resource[]): Resource[] {
  const entries: Entry[] = [
    {
      key: keys.cluster(CLUSTER),
      value: Buffer.from(JSON.stringify({ name: CLUSTER, uid: 'u' })),
      createRevision: 1n,
      modRevision: 1n,
    },
  ];
  for (const one of reports) {
    try {
      checkReport(one);
    } catch {
      continue;
    }
    entries.push({
      key: keys.report(CLUSTER, one.type, one.name),
      value: encodeStoredReport({ resource: one }),
      createRevision: 1n,
      modRevision: 1n,
    });
  }
  const { state, index } = fleetOf(entries);
  return [...index.hosts.keys()].flatMap((name) => {
    const host = compileHost(state, index, name);
    const body = host === undefined ? undefined : bodyFor(host, CLUSTER);
    return [...(body === undefined ? [] : [body]), ...(host?.backends.get(CLUSTER) ?? [])];
  });
}

/** Mostly as the hub writes it: anything else is refused at once. */
function hostileRegex(random: () => number): string {
  const source = hostileIn(random, 'regex');
  if (random() < 0.2) return source;
  try {
    return readPathRegex(source).text;
  } catch {
    return source;
  }
}

function hostileBody(random: () => number, leaf: TestLeaf): Resource {
  const text = (): string => hostileText(random);
  const name = (): string => hostileIn(random, 'name');
  const hostName = (): string => hostileIn(random, 'host');
  const id = (): string => pick(random, [text(), '0123456789abcdef', '0123456789abcde\n']);
  const kinds: readonly (() => Resource)[] = [
    () =>
      host(hostName(), [
        {
          path: hostileIn(random, 'path'),
          exact: random() < 0.5,
          at: { [pick(random, [CLUSTER, text()])]: `${name()}/${name()}/80` },
        },
      ]),
    () =>
      host(pick(random, [hostName(), `${MARK}.example`]), [
        { path: '/', at: { eu: 'd/web/80' }, settings: hostileSettings(random, leaf) },
      ]),
    () =>
      host(`${MARK}-${Math.floor(random() * 1_000)}.example`, [
        { path: '/', at: { eu: 'd/web/80' }, settings: hostileSettings(random, leaf) },
      ]),
    () => {
      const expressions = Array.from({ length: 1 + Math.floor(random() * 3) }, () => hostileRegex(random));
      return host(
        pick(random, [hostName(), `*.${MARK}.example`, '*']),
        [...new Set(expressions)].map((path) => ({ path, regex: true, at: { eu: 'd/web/80' } })),
      );
    },
    () => certificate(`${name()}/${name()}`, [hostName()].slice(0, Math.floor(random() * 2)), leaf, true),
    () => host(`${MARK}.example`, [{ path: hostileIn(random, 'path'), at: { eu: `d/${name()}/${name()}` } }]),
    () =>
      split(hostName(), [
        {
          path: '/',
          shares: [{ cluster: text(), share: 100_000 }],
          fallbacks: [text()],
          sticky: [text()],
          affinity: true,
        },
      ]),
    () => {
      const at = hostName();
      const route = {
        id: id(),
        path: hostileIn(random, 'path'),
        pathType: PathType.PREFIX,
        contributions: [{ cluster: CLUSTER, backend: text(), ready: 1 }],
        traffic: undefined,
      };
      return resource('host', at, Host.encode(Host.create({ name: at, namespace: text(), routes: [route] })).finish());
    },
    () =>
      resource(
        'split',
        'shop.example',
        HostSplit.encode(
          HostSplit.create({
            host: 'shop.example',
            routes: [
              {
                routeId: id(),
                shares: [{ cluster: text(), share: 1 }],
                fallbacks: [text()],
                affinity: true,
                sticky: [text()],
                tier: 0,
                reasons: [text()],
              },
            ],
          }),
        ).finish(),
      ),
    () => {
      const [namespace, service, portName] = [name(), name(), name()];
      return resource(
        'backend',
        `${namespace}/${service}/${portName}`,
        Backend.encode(Backend.create({ namespace, service, portName })).finish(),
      );
    },
    () => {
      const address = pick(random, [
        text(),
        `127.0.0.1${text()}`,
        `::1${text()}`,
        `[::1]${text()}`,
        '10.0.0.1',
        'fd00::1',
      ]);
      const body = {
        namespace: name(),
        service: name(),
        ports: [{ name: text(), servicePort: 80, targetPort: 8080 }],
        endpoints: [{ address, state: EndpointState.READY }],
      };
      return resource('endpoints', text(), Endpoints.encode(body).finish());
    },
    () => {
      const cluster = name();
      const body = Peer.create({
        cluster,
        serverName: pick(random, [text(), `${MARK}.gateway.headgate`, `a${text()}`]),
        addresses: [pick(random, [text(), `127.0.0.1:1${text()}`, '127.0.0.1:1'])],
      });
      return resource('peer', cluster, Peer.encode(body).finish());
    },
    () => peer(name(), [`[${text()}]:1`]),
    () => certificate(`${name()}/${name()}`, [hostName(), `${MARK}.example`], leaf),
    () => {
      const at = Math.floor(random() * leaf.certificate.length);
      const chain = leaf.certificate.slice(0, at) + text() + leaf.certificate.slice(at);
      const key = random() < 0.5 ? leaf.key : leaf.key + text();
      return resource(
        'own-certificate',
        'd/tls',
        Certificate.encode({
          namespace: 'd',
          secret: 'tls',
          hosts: [`${MARK}.example`],
          chain,
          privateKey: key,
          fallback: false,
        }).finish(),
      );
    },
    () =>
      resource(
        pick(random, ['host', 'split', 'backend', 'endpoints', 'peer', 'own-certificate', text()]),
        text(),
        Buffer.from(text()),
      ),
  ];
  return pick(random, kinds)();
}
