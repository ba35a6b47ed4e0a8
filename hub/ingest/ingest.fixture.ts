import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { type AcceptedDelta, type Refusal, type Resource, type ResourceKey, resource } from '../../lib/sync/index.ts';
import { PathType } from '../../proto/gen/headgate/v1/configured.ts';
import { Ingress, Service } from '../../proto/gen/headgate/v1/reported.ts';
import { type CommittedIngress, claimKey } from '../fleet/state.ts';
import { decodeOwnership } from '../fleet/stored-values.ts';
import { openEmbeddedStore } from '../store/embedded.ts';
import { keys } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import { ReportSink } from './report-sink.ts';
import type { ReportLimits } from './report-limits.ts';
import { committedIngress, decodeStoredReport } from './stored-report.ts';

export async function temporaryStore(): Promise<{ readonly store: Store } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'headgate-ingest-'));
  const store = await openEmbeddedStore({ folder, clock: systemClock, log: silentLog });
  return {
    store,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @param name `<namespace>/<name>`. @param routes `<host>/<path>`, each a Prefix to web:80. */
export function ingress(name: string, ...routes: string[]): Resource {
  const [namespace = '', object = ''] = name.split('/');
  const rules = routes.map((route) => {
    const slash = route.indexOf('/');
    const backend = { service: 'web', portNumber: 80, portName: '' };
    return { host: route.slice(0, slash), path: route.slice(slash), pathType: PathType.PREFIX, backend };
  });
  const message = { namespace, name: object, generation: 1n, rules, defaultBackend: undefined, tls: [] };
  return resource('ingress', name, Ingress.encode({ ...message, labels: new Map(), annotations: new Map() }).finish());
}

export function service(name: string, ready: number): Resource {
  const [namespace = '', object = ''] = name.split('/');
  const ports = [{ name: '', number: 80, ready }];
  return resource('service', name, Service.encode({ namespace, name: object, ports }).finish());
}

/** claimKey of a route as `ingress` takes it. */
export function claim(route: string): string {
  const slash = route.indexOf('/');
  return claimKey(route.slice(0, slash), PathType.PREFIX, route.slice(slash));
}

/** A cluster's stream as its sink sees it. */
export class Reporter {
  readonly #view: Awaited<ReturnType<ReportSink['view']>>;
  readonly sink: ReportSink;

  private constructor(sink: ReportSink, view: Awaited<ReturnType<ReportSink['view']>>) {
    this.sink = sink;
    this.#view = view;
  }

  static async open(store: Store, cluster: string, limits?: ReportLimits): Promise<Reporter> {
    const options = { cluster, store, log: silentLog, random: () => Math.random() };
    const sink = await ReportSink.open(limits === undefined ? options : { ...options, limits });
    return new Reporter(sink, await sink.view());
  }

  get inventory(): string[] {
    return this.#view.inventory
      .types()
      .flatMap((type) => [...this.#view.inventory.ofType(type)].map(({ name }) => `${type}/${name}`).sort());
  }

  async report(
    upserts: readonly Resource[],
    removals: readonly (Resource | ResourceKey)[] = [],
    endOfSnapshot = false,
  ): Promise<readonly Refusal[]> {
    const delta: AcceptedDelta = { epoch: { counter: 0n, id: '' }, revision: 0n, upserts, removals, endOfSnapshot };
    return await this.#view.accept(delta);
  }
}

/** `<host> <namespace>`, with "released" where it is; ascending. */
export async function owners(store: Store): Promise<string[]> {
  return (await store.range('owner/')).entries
    .map((entry) => decodeOwnership(entry))
    .map(({ host, namespace, releasedAt }) => `${host} ${namespace}${releasedAt === undefined ? '' : ' released'}`);
}

export async function storedIngress(
  store: Store,
  cluster: string,
  name: string,
): Promise<CommittedIngress | undefined> {
  const entry = await store.get(keys.report(cluster, 'ingress', name));
  return entry === undefined ? undefined : committedIngress(decodeStoredReport('ingress', name, entry));
}

export async function keysUnder(store: Store, prefix: string): Promise<string[]> {
  return (await store.range(prefix)).entries.map(({ key }) => key);
}
