import { canonicalJson } from '../../lib/manifest/canonical-json.ts';
import { resource } from '../../lib/sync/index.ts';
import { PathType } from '../../proto/gen/headgate/v1/configured.ts';
import {
  type BackendRef,
  Ingress,
  type IngressRule,
  NodeInfo,
  Policy,
  Service,
} from '../../proto/gen/headgate/v1/reported.ts';
import { FleetDraft, type FleetVersion } from '../../hub/fleet/fleet-draft.ts';
import { HeldReports } from '../../hub/fleet/held-reports.ts';
import { encodeStoredReport } from '../../hub/ingest/stored-report.ts';
import { keys } from '../../hub/store/keys.ts';
import type { Entry } from '../../hub/store/store.ts';

/** A fleet in a few lines of YAML. Names are `<namespace>/<name>`; `rev` is the revision of first commit. */
export interface SmallFleet {
  members: string[];
  /** Namespace by host. */
  owners?: Record<string, string>;
  ingresses?: {
    cluster: string;
    name: string;
    rev?: number;
    /** "shop.example/cart Prefix cart:80"; "/cart Exact cart:http" for a rule without a host. */
    rules?: string[];
    /** "web:80" */
    default?: string;
  }[];
  /** Ports: "80" or "80/http" → ready endpoints. */
  services?: { cluster: string; name: string; ports: Record<string, number> }[];
  /** Without a cluster it stands at the hub. A cluster-scoped kind's name has no namespace. */
  policies?: { kind: string; name: string; cluster?: string; rev?: number; spec: unknown }[];
  /** Ready where not said. */
  nodes?: { cluster: string; name: string; gateway: string; ready?: boolean }[];
}

/** The store's entries that such a fleet would have, in no order that matters. */
export function storeEntries(fleet: SmallFleet): Entry[] {
  const entries: Entry[] = [];
  const put = (key: string, value: Uint8Array, rev = 1) =>
    entries.push({ key, value, createRevision: BigInt(rev), modRevision: BigInt(rev) });
  const json = (key: string, value: unknown) => put(key, Buffer.from(JSON.stringify(value)));
  const report = (cluster: string, type: string, name: string, body: Uint8Array, rev?: number) =>
    put(keys.report(cluster, type, name), encodeStoredReport({ resource: resource(type, name, body) }), rev);

  for (const name of fleet.members) json(keys.cluster(name), { name, uid: `uid-${name}` });
  for (const [host, namespace] of Object.entries(fleet.owners ?? {})) json(keys.owner(host), { host, namespace });
  for (const given of fleet.ingresses ?? []) {
    const [namespace, name] = split(given.name);
    const message: Ingress = {
      namespace,
      name,
      generation: 1n,
      rules: (given.rules ?? []).map(rule),
      defaultBackend: given.default === undefined ? undefined : backend(given.default),
      tls: [],
      labels: new Map(),
      annotations: new Map(),
    };
    report(given.cluster, 'ingress', given.name, Ingress.encode(message).finish(), given.rev);
  }
  for (const given of fleet.services ?? []) {
    const [namespace, name] = split(given.name);
    const ports = Object.entries(given.ports).map(([port, ready]) => {
      const [number, portName] = split(port);
      return { number: Number(number), name: portName, ready };
    });
    report(given.cluster, 'service', given.name, Service.encode({ namespace, name, ports }).finish());
  }
  for (const { kind, name: full, cluster, rev, spec } of fleet.policies ?? []) {
    const [namespace, name] = full.includes('/') ? split(full) : ['', full];
    const body = Policy.encode({ kind, namespace, name, generation: 1n, specJson: canonicalJson(spec) }).finish();
    if (cluster === undefined) put(keys.policy(kind, namespace === '' ? '-' : namespace, name), body, rev);
    else report(cluster, 'policy', `${kind}/${full}`, body, rev);
  }
  for (const { cluster, name, gateway, ready = true } of fleet.nodes ?? []) {
    const message: NodeInfo = {
      name,
      agentVersion: '1',
      haproxyVersion: '2.6',
      gatewayAddress: gateway,
      ready,
      revision: 1n,
    };
    report(cluster, 'node', name, NodeInfo.encode(message).finish());
  }
  return entries;
}

/** The fleet's state and index over entries, built the way the hub builds them. */
export function fleetOf(entries: Iterable<Entry>, base?: FleetVersion): FleetVersion {
  const draft = new FleetDraft(base, new HeldReports(), (error) => {
    throw error;
  });
  for (const entry of entries) draft.apply({ kind: 'put', entry });
  return draft.done(1n, { epoch: { counter: 1n, id: 'test' }, fleetName: 'test', staleMs: new Map() });
}

function split(name: string): [string, string] {
  const slash = name.indexOf('/');
  return slash === -1 ? [name, ''] : [name.slice(0, slash), name.slice(slash + 1)];
}

function rule(text: string): IngressRule {
  const [place = '', type, to = ''] = text.split(' ');
  const [host, path] = split(place);
  return {
    host,
    pathType: type === 'Exact' ? PathType.EXACT : PathType.PREFIX,
    path: `/${path}`,
    backend: backend(to),
  };
}

function backend(text: string): BackendRef {
  const [service = '', port = ''] = text.split(':');
  const number = Number(port);
  return Number.isNaN(number)
    ? { service, portName: port, portNumber: 0 }
    : { service, portName: '', portNumber: number };
}
