import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Translator } from '../../agent/cluster/translate/translator.ts';
import { Compiler } from '../../hub/compile/compiler.ts';
import { explainRequest } from '../../hub/compile/explain/explain.ts';
import type { Explanation } from '../../hub/compile/explain/explanation.ts';
import type { CompiledHost } from '../../hub/compile/types.ts';
import { Fleet } from '../../hub/fleet/fleet.ts';
import { ReportSink } from '../../hub/ingest/report-sink.ts';
import { openEmbeddedStore } from '../../hub/store/embedded.ts';
import type { Store } from '../../hub/store/store.ts';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { parseManifests } from '../../lib/manifest/parse.ts';
import type { ReceiverSink } from '../../lib/sync/index.ts';
import { Host } from '../../proto/gen/headgate/v1/configured.ts';
import { type SmallFleet, storeEntries } from './small-fleet.ts';

interface Member {
  readonly translator: Translator;
  readonly sink: ReceiverSink;
  /** Milliseconds by which the cluster's clock is wrong. */
  readonly skew: number;
}

/** From manifests to compiled hosts through the real translation, ingest, store and fleet; no data plane. */
export class ClaimFleet implements AsyncDisposable {
  readonly store: Store;
  readonly #folder: string;
  readonly #fleet: Fleet;
  readonly #compiler = new Compiler();
  readonly #members = new Map<string, Member>();

  private constructor(folder: string, store: Store, fleet: Fleet) {
    this.#folder = folder;
    this.store = store;
    this.#fleet = fleet;
    fleet.subscribe((change) => void this.#compiler.apply(change));
  }

  /** @param skews per cluster, milliseconds. */
  static async start(skews: Readonly<Record<string, number>>): Promise<ClaimFleet> {
    const folder = await mkdtemp(join(tmpdir(), 'headgate-claims-'));
    const clock: Clock = systemClock;
    const store = await openEmbeddedStore({ folder, clock, log: silentLog });
    const fleet = await Fleet.open({ store, log: silentLog, clock, fleetName: 'test' });
    const all = new ClaimFleet(folder, store, fleet);
    await all.put({ members: Object.keys(skews) });
    for (const [cluster, skew] of Object.entries(skews)) {
      const sink = await ReportSink.open({ cluster, store, log: silentLog, random: () => clock.random() });
      all.#members.set(cluster, { translator: new Translator({ folder: true }), sink: await sink.view(), skew });
    }
    return all;
  }

  /** Writes store entries as the hub's own API does. */
  async put(given: Partial<SmallFleet>): Promise<void> {
    const operations = storeEntries({ members: [], ...given }).map(({ key, value }) => ({
      kind: 'put' as const,
      key,
      value,
    }));
    const commit = await this.store.transact({ operations });
    if (commit.committed) await this.#fleet.reached(commit.revision);
  }

  /** A cluster's folder gains these manifests; resolves when the hub has compiled what they do. */
  async apply(cluster: string, manifests: string): Promise<void> {
    const member = this.#members.get(cluster);
    if (member === undefined) throw new Error(`no cluster ${cluster}`);
    const { documents, errors } = parseManifests(manifests, 'x.yaml');
    if (errors.length > 0) throw new Error(errors.map(({ error }) => error.line()).join('; '));
    const { report } = member.translator.apply({ set: documents }, Date.now() + member.skew);
    const refusals = await member.sink.accept({
      ...report,
      epoch: { counter: 0n, id: '' },
      revision: 0n,
      endOfSnapshot: false,
    });
    if (refusals.length > 0) throw new Error(refusals.map(({ error }) => error.line()).join('; '));
    await this.#fleet.reached((await this.store.range('owner/')).revision);
  }

  compiled(host: string): CompiledHost | undefined {
    return this.#compiler.get(host);
  }

  /** Namespace and backends of a host as each recipient gets them; everything that could carry traffic. */
  contributions(host: string): { readonly namespace: string; readonly backends: string[] } {
    const compiled = this.compiled(host);
    const bodies = [compiled?.body, ...(compiled?.variants.values() ?? [])].filter((body) => body !== undefined);
    const hosts = bodies.map(({ body }) => Host.decode(body));
    const backends = hosts.flatMap(({ routes }) =>
      routes.flatMap((route) => route.contributions.map((c) => `${c.cluster} ${c.backend} ${route.path}`)),
    );
    return { namespace: hosts[0]?.namespace ?? '', backends: [...new Set(backends)].sort() };
  }

  /** What a request for a host's root gets that enters at a cluster. */
  explain(host: string, entry: string): Explanation {
    return explainRequest(this.#fleet.state(), (name) => this.compiled(name), { host, path: '/', entry });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fleet[Symbol.asyncDispose]();
    await this.store[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true });
  }
}

/** An Ingress with a Service of the same name, as a user writes them. */
export function claimManifest(namespace: string, name: string, host: string, path: string, created: string): string {
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name}, namespace: ${namespace}, creationTimestamp: "${created}" }
spec:
  ingressClassName: headgate
  rules:
  - host: "${host}"
    http:
      paths:
      - { path: ${path}, pathType: Prefix, backend: { service: { name: ${name}, port: { number: 80 } } } }
---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace}, creationTimestamp: "${created}" }
spec: { ports: [{ port: 80 }] }
`;
}
