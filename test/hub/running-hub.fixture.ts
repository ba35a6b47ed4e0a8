import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterAgent } from '../../agent/cluster/cluster-agent.ts';
import { AgentIdentity } from '../../agent/identity/agent-identity.ts';
import { runUplink } from '../../agent/uplink.ts';
import { type HubClient, connectHub } from '../../cli/client.ts';
import type { AddClusterResponse } from '../../hub/api/types.ts';
import { type HubOptions, runHub } from '../../hub/hub.ts';
import { systemClock } from '../../lib/clock.ts';
import { parseAddress } from '../../lib/config/address.ts';
import { silentLog } from '../../lib/log.ts';
import { Inventory, Publication, type ReceiverSink, resource } from '../../lib/sync/index.ts';
import { PathType } from '../../proto/gen/headgate/v1/configured.ts';
import { ClusterInfo, Ingress, Service } from '../../proto/gen/headgate/v1/reported.ts';

export interface RunningHub extends AsyncDisposable {
  readonly folder: string;
  readonly config: string;
  readonly grpc: string;
  readonly http: string;
  readonly ops: string;
  readonly client: HubClient;
  /** Enrols a cluster and reports what the publication holds over the wire, until the hub ends. */
  join(cluster: string): Promise<Publication>;
  /** The same for a cluster agent that has listed its source: it is told too what the hub has for it. */
  joinAgent(cluster: string, agent: ClusterAgent): Promise<void>;
}

const anyPort = parseAddress('127.0.0.1:0');

/** A whole hub in this process: embedded store unless told otherwise, TLS, API and ops on free ports. */
export async function startHub(options: Partial<HubOptions> = {}): Promise<RunningHub> {
  const folder = options.data ?? mkdtempSync(join(tmpdir(), 'headgate-hub-'));
  const stop = new AbortController();
  const { signal } = stop;
  const { promise: ready, resolve } = Promise.withResolvers<{ grpc: string; http: string; ops: string }>();
  const running = runHub(
    {
      store: { kind: 'embedded', folder },
      kekFile: join(folder, 'kek.key'),
      grpc: anyPort,
      http: anyPort,
      ops: anyPort,
      tokens: [],
      ...options,
      data: folder,
    },
    { log: silentLog, clock: systemClock, signal, ready: resolve },
  );
  const addresses = await Promise.race([ready, running.then(() => Promise.reject(new Error('the hub has ended')))]);
  const config = join(folder, 'admin.yaml');
  const client = await connectHub({ config });
  const agents: Promise<void>[] = [];
  const identities = new AsyncDisposableStack();
  const joinWith = async (cluster: string, reports: Publication, sink: ReceiverSink): Promise<void> => {
    const { token } = await client.call<AddClusterResponse>('POST', '/v1/clusters', { body: { name: cluster } });
    const identity = identities.use(
      await AgentIdentity.open({
        folder: join(folder, `agent-${cluster}`),
        hubs: [parseAddress(addresses.grpc)],
        join: { token },
        cluster,
        node: 'n1',
        role: 'cluster',
        clusterUid: `uid-${cluster}`,
        clock: systemClock,
        log: silentLog,
        signal,
      }),
    );
    agents.push(
      runUplink({
        reports,
        sink,
        clock: systemClock,
        log: silentLog,
        addresses: [addresses.grpc],
        tls: () => identity.current().control,
        expect: (peer) => peer.kind === 'hub',
        speaker: { count: 1n, instance: cluster },
        signal,
      }),
    );
  };
  return {
    folder,
    config,
    ...addresses,
    client,
    join: async (cluster) => {
      const reports = new Publication();
      const info = ClusterInfo.encode({ uid: `uid-${cluster}`, agentVersion: 'test' }).finish();
      reports.publish({ upserts: [resource('cluster', 'self', info)], removals: [] });
      const sink = { inventory: new Inventory(), held: () => undefined, accept: () => Promise.resolve([]) };
      await joinWith(cluster, reports, sink);
      return reports;
    },
    joinAgent: async (cluster, agent) => await joinWith(cluster, agent.up, agent.hubSink()),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await Promise.all([running, ...agents]);
      await identities.disposeAsync();
      if (options.data === undefined) rmSync(folder, { recursive: true });
    },
  };
}

/** An Ingress of namespace shop with one Prefix rule per host, all to Service web, port 80. */
export function ingress(name: string, hosts: readonly string[], path = '/') {
  const backend = { service: 'web', portNumber: 80, portName: '' };
  const body = Ingress.encode({
    namespace: 'shop',
    name,
    generation: 1n,
    rules: hosts.map((host) => ({ host, pathType: PathType.PREFIX, path, backend })),
    defaultBackend: undefined,
    tls: [],
    labels: new Map(),
    annotations: new Map(),
  }).finish();
  return resource('ingress', `shop/${name}`, body);
}

export function service(ready: number) {
  const body = Service.encode({ namespace: 'shop', name: 'web', ports: [{ name: '', number: 80, ready }] }).finish();
  return resource('service', 'shop/web', body);
}
