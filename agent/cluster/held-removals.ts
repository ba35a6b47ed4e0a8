import type { Clock } from '../../lib/clock.ts';
import type { ResourceDelta, ResourceKey } from '../../lib/sync/index.ts';
import { Certificate, Endpoints } from '../../proto/gen/headgate/v1/configured.ts';
import { Ingress } from '../../proto/gen/headgate/v1/reported.ts';
import type { SourceChange } from './source.ts';

/** Other clusters may send for as long as they have not heard, as long as nodes know the route's id; milliseconds. */
const LINGER_MS = 30_000;

/** What the hub's configuration routes to this cluster. */
export interface RoutedHere {
  /** @param service `<namespace>/<name>` */
  service(service: string): boolean;
  host(host: string): boolean;
}

/** What a resource serves: a Service, or the hosts of a certificate. */
type Use = { readonly service: string } | { readonly hosts: readonly string[] };

interface Held {
  readonly resource: ResourceKey;
  readonly use: Use;
  /** When it may go; undefined while the hub routes to it. */
  until: number | undefined;
}

/**
 * Keeps what a withdrawn Ingress was served from while the hub still routes to it: the withdrawal takes a moment to
 * reach every entry, and a guard may hold it. While an Ingress of the source names a Service, what becomes of its
 * endpoints counts at once.
 */
export class HeldRemovals {
  readonly #routed: RoutedHere;
  readonly #clock: Clock;
  /** By Ingress: its Services and hosts. */
  readonly #ingresses = new Map<string, readonly string[]>();
  /** How many Ingresses of the source name a Service (`service …`) or a host (`host …`). */
  readonly #named = new Map<string, number>();
  /** Of what nodes have been told, by `<type> <name>`. */
  readonly #uses = new Map<string, Use>();
  readonly #held = new Map<string, Held>();

  constructor(routed: RoutedHere, clock: Clock) {
    this.#routed = routed;
    this.#clock = clock;
  }

  /** @returns the change without the removals that wait; of its report only Services' removals ever do. */
  filter({ report, own }: SourceChange): SourceChange {
    for (const { type, name, body } of report.upserts) if (type === 'ingress') this.#name(name, Ingress.decode(body));
    for (const { type, name } of report.removals) if (type === 'ingress') this.#name(name, undefined);
    for (const { type, name, body } of [...own.upserts, ...report.upserts]) {
      const use = useOf(type, name, body);
      if (use === undefined) continue;
      this.#uses.set(`${type} ${name}`, use);
      this.#held.delete(`${type} ${name}`);
    }
    const passes = (resource: ResourceKey): boolean => !this.#hold(resource);
    return {
      report: { upserts: report.upserts, removals: report.removals.filter(passes) },
      own: { upserts: own.upserts, removals: own.removals.filter(passes) },
    };
  }

  /** Removals whose time has come, after the hub's configuration, the source or time has changed. */
  release(): SourceChange {
    const now = this.#clock.now();
    const report: ResourceKey[] = [];
    const own: ResourceKey[] = [];
    for (const [key, held] of this.#held) {
      if (this.#isNamed(held.use)) held.until = now;
      else if (this.#isRouted(held.use)) held.until = undefined;
      else held.until ??= now + LINGER_MS;
      if (held.until === undefined || held.until > now) continue;
      this.#held.delete(key);
      this.#uses.delete(key);
      (held.resource.type === 'service' ? report : own).push(held.resource);
    }
    return { report: removalsOf(report), own: removalsOf(own) };
  }

  /** Milliseconds until time alone may release something. */
  dueIn(): number | undefined {
    let due: number | undefined;
    for (const { until } of this.#held.values()) if (until !== undefined) due = Math.min(due ?? until, until);
    return due === undefined ? undefined : Math.max(0, due - this.#clock.now());
  }

  #hold(resource: ResourceKey): boolean {
    const key = `${resource.type} ${resource.name}`;
    const use = this.#uses.get(key);
    if (use === undefined) return false;
    if (this.#isNamed(use) || !this.#isRouted(use)) {
      this.#uses.delete(key);
      return false;
    }
    this.#held.set(key, { resource, use, until: undefined });
    return true;
  }

  #isNamed(use: Use): boolean {
    if ('service' in use) return this.#named.has(`service ${use.service}`);
    return use.hosts.some((host) => this.#named.has(`host ${host}`));
  }

  #isRouted(use: Use): boolean {
    if ('service' in use) return this.#routed.service(use.service);
    return use.hosts.some((host) => this.#routed.host(host));
  }

  #name(name: string, ingress: Ingress | undefined): void {
    for (const key of this.#ingresses.get(name) ?? []) {
      const left = (this.#named.get(key) ?? 0) - 1;
      if (left > 0) this.#named.set(key, left);
      else this.#named.delete(key);
    }
    if (ingress === undefined) {
      this.#ingresses.delete(name);
      return;
    }
    const keys = namesIn(ingress);
    for (const key of keys) this.#named.set(key, (this.#named.get(key) ?? 0) + 1);
    this.#ingresses.set(name, keys);
  }
}

function namesIn({ namespace, rules, defaultBackend }: Ingress): readonly string[] {
  const keys = new Set(rules.map(({ host }) => `host ${host}`));
  const backends = [...rules.map(({ backend }) => backend), defaultBackend];
  for (const backend of backends) if (backend !== undefined) keys.add(`service ${namespace}/${backend.service}`);
  return [...keys];
}

function useOf(type: string, name: string, body: Uint8Array): Use | undefined {
  if (type === 'service') return { service: name };
  if (type === 'own-certificate') return { hosts: Certificate.decode(body).hosts };
  if (type !== 'endpoints') return undefined;
  const { namespace, service } = Endpoints.decode(body);
  return { service: `${namespace}/${service}` };
}

function removalsOf(removals: readonly ResourceKey[]): ResourceDelta {
  return { upserts: [], removals };
}
