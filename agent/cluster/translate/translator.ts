import { unreachable } from '../../../lib/errors.ts';
import {
  objectKey,
  type EndpointSliceManifest,
  type IngressClassManifest,
  type IngressManifest,
  type Manifest,
  type ObjectRef,
  type SecretManifest,
  type ServiceManifest,
} from '../../../lib/manifest/manifest.ts';
import type { Problem } from '../../../proto/gen/headgate/v1/reported.ts';
import type { SourceChange } from '../source.ts';
import {
  covers,
  certificateInfo,
  ownCertificate,
  readCertificate,
  validityFaults,
  type UsableCertificate,
} from './certificate.ts';
import { CertificateClaims, lostFaults } from './certificate-claims.ts';
import { serviceOfSlice, UNLABELLED, viewSlice } from './endpoint-slice.ts';
import { classFaults, classVerdict, ingressClasses, type IngressClasses } from './ingress-classes.ts';
import { viewIngress, type IngressView } from './ingress.ts';
import { missingBackends, missingCertificates, missingDefault, type SecretFault } from './missing.ts';
import { Outputs, type Derived } from './outputs.ts';
import { policyOutputs } from './policy.ts';
import { problemOf, type Fault } from './problems.ts';
import { References } from './references.ts';
import { reportedService } from './reported-service.ts';
import { SecretSightings } from './secret-sightings.ts';
import { isExternalName, serviceFaults } from './service.ts';

export interface ObjectChanges {
  readonly set?: readonly Manifest[];
  readonly deleted?: readonly ObjectRef[];
  /** Problems that the caller found, by an owner of its choice: replaces what that owner said before. */
  readonly problems?: ReadonlyMap<string, readonly Problem[]>;
  /** Secrets, `<namespace>/<name>`, that cannot be looked at, and why; undefined once they can. What they held stays. */
  readonly unreadable?: ReadonlyMap<string, SecretFault | undefined>;
}

export interface TranslatorOptions {
  /**
   * A folder, not an API server: without any IngressClass object an Ingress without a class is ours and the
   * class name `headgate` needs no object, and endpoints may be loopback addresses.
   */
  readonly folder: boolean;
  /** Secrets are looked for only once something names them (see `takeNamedSecrets`): until then none is missing. */
  readonly secretsOnDemand?: boolean;
  /** Secret, `<namespace>/<name>`, whose certificate serves clients that ask for no name of the fleet's. */
  readonly defaultCertificate?: string | undefined;
}

/**
 * One cluster's objects to resources, object by object: a change derives again only what depends on it.
 * Pure but for what it remembers. The same objects give the same bytes in whatever order they came, except
 * that a Secret which cannot be used keeps its last good certificate.
 */
export class Translator {
  readonly #folder: boolean;
  readonly #defaultCertificate: string | undefined;
  readonly #outputs = new Outputs();
  readonly #classes = new Map<string, IngressClassManifest>();
  readonly #ingresses = new Map<string, IngressManifest>();
  readonly #services = new Map<string, ServiceManifest>();
  readonly #slices = new Map<string, EndpointSliceManifest>();
  readonly #secrets = new Map<string, SecretManifest>();
  readonly #certificates = new Map<string, UsableCertificate>();
  /** Why a Secret's present content cannot be used. */
  readonly #faulty = new Map<string, Fault>();
  readonly #sightings: SecretSightings;
  /** Whether other Secrets are named than `takeNamedSecrets` told. */
  #renamed = true;
  readonly #claims = new CertificateClaims();
  /** Ingresses of ours, as last derived. */
  readonly #views = new Map<string, IngressView>();
  /** Service → Ingresses, Secret → Ingresses, Service → slices; keys are `<namespace>/<name>`. */
  readonly #routed = new References();
  readonly #named = new References();
  readonly #sliced = new References();
  #currentClasses: IngressClasses;
  #dirty = dirtySets();
  /** Unix milliseconds at which the next certificate begins or ceases to be valid. */
  #nextValidity = Number.POSITIVE_INFINITY;

  constructor(options: TranslatorOptions) {
    this.#folder = options.folder;
    this.#sightings = new SecretSightings(options.secretsOnDemand ?? false);
    this.#defaultCertificate = options.defaultCertificate;
    // It is missed even where nothing ever mentions it.
    if (options.defaultCertificate !== undefined) this.#dirty.secrets.add(options.defaultCertificate);
    this.#currentClasses = ingressClasses([], options.folder);
  }

  /** @param now Unix milliseconds, for what has expired. */
  apply(changes: ObjectChanges, now: number): SourceChange {
    for (const ref of changes.deleted ?? []) this.#delete(ref);
    for (const manifest of changes.set ?? []) this.#set(manifest);
    for (const [owner, problems] of changes.problems ?? []) {
      this.#outputs.replace(
        `problems ${owner}`,
        problems.map((body) => ({ type: 'problem', body })),
      );
    }
    for (const [key, fault] of changes.unreadable ?? []) {
      this.#sightings.setUnreadable(key, fault);
      this.#touchSecret(key);
    }
    if (now >= this.#nextValidity) {
      this.#nextValidity = Number.POSITIVE_INFINITY;
      for (const key of this.#certificates.keys()) this.#dirty.secrets.add(key);
    }
    this.#derive(now);
    return this.#outputs.take();
  }

  /**
   * `<namespace>/<name>` of every Secret that Ingresses of ours, or the agent's own flag, name.
   * @returns undefined where they are those of the last call.
   */
  takeNamedSecrets(): ReadonlySet<string> | undefined {
    if (!this.#renamed) return undefined;
    this.#renamed = false;
    const named = new Set(this.#named.targets());
    return this.#defaultCertificate === undefined ? named : named.add(this.#defaultCertificate);
  }

  #set(manifest: Manifest): void {
    const key = id(manifest);
    switch (manifest.kind) {
      case 'IngressClass':
        this.#classes.set(key, manifest);
        this.#dirty.classes = true;
        break;
      case 'Ingress':
        this.#ingresses.set(key, manifest);
        this.#dirty.ingresses.add(key);
        break;
      case 'Service':
        this.#services.set(key, manifest);
        this.#touchService(key);
        break;
      case 'EndpointSlice': {
        this.#slices.set(key, manifest);
        const service = serviceOfSlice(manifest);
        this.#touchSlice(key, service === undefined ? [] : [service]);
        break;
      }
      case 'Secret':
        this.#secrets.set(key, manifest);
        this.#sightings.seen(key);
        this.#touchSecret(key);
        break;
      case 'TrafficPolicy':
      case 'HostClaim':
      case 'Cluster':
        this.#outputs.replace(objectKey(manifest), policyOutputs(manifest));
        break;
      default:
        unreachable(manifest);
    }
  }

  #delete(ref: ObjectRef): void {
    const key = id(ref);
    switch (ref.kind) {
      case 'IngressClass':
        this.#classes.delete(key);
        this.#outputs.replace(objectKey(ref), []);
        this.#dirty.classes = true;
        break;
      case 'Ingress':
        this.#ingresses.delete(key);
        this.#dirty.ingresses.add(key);
        break;
      case 'Service':
        this.#services.delete(key);
        this.#touchService(key);
        break;
      case 'EndpointSlice':
        this.#slices.delete(key);
        this.#touchSlice(key, []);
        break;
      case 'Secret':
        this.#secrets.delete(key);
        // Nobody looks after one that nobody names: when it is named again nothing is known of it.
        if (this.#isUsed(key)) this.#sightings.seen(key);
        else this.#sightings.forget(key);
        this.#touchSecret(key);
        break;
      default:
        this.#outputs.replace(objectKey(ref), []);
    }
  }

  #touchService(key: string): void {
    this.#dirty.services.add(key);
    for (const slice of this.#sliced.from(key)) this.#dirty.slices.add(slice);
    for (const ingress of this.#routed.from(key)) this.#dirty.problems.add(ingress);
  }

  #touchSlice(key: string, services: readonly string[]): void {
    for (const service of [...this.#sliced.to(key), ...services]) this.#dirty.services.add(service);
    this.#sliced.set(key, services);
    this.#dirty.slices.add(key);
  }

  #touchSecret(key: string): void {
    this.#dirty.secrets.add(key);
    for (const ingress of this.#named.from(key)) this.#dirty.problems.add(ingress);
  }

  /** In the order of dependence: what is routed and named first, then what it is routed to. */
  #derive(now: number): void {
    if (this.#dirty.classes) {
      this.#currentClasses = ingressClasses(this.#classes.values(), this.#folder);
      for (const key of this.#ingresses.keys()) this.#dirty.ingresses.add(key);
      for (const manifest of this.#classes.values()) {
        this.#outputs.replace(objectKey(manifest), problems(manifest, classFaults(this.#currentClasses, manifest)));
      }
    }
    for (const key of this.#dirty.ingresses) this.#deriveView(key);
    for (const key of this.#dirty.secrets) this.#readSecret(key);
    for (const key of this.#dirty.secrets) this.#deriveSecret(key, now);
    for (const key of this.#dirty.services) this.#deriveService(key);
    for (const key of this.#dirty.slices) this.#deriveSlice(key);
    for (const key of this.#dirty.problems) this.#deriveIngress(key);
    this.#dirty = dirtySets();
  }

  /** What an Ingress says by itself; whatever it names now, or named before, is derived again. */
  #deriveView(key: string): void {
    const manifest = this.#ingresses.get(key);
    const verdict = manifest === undefined ? undefined : classVerdict(this.#currentClasses, manifest);
    const view = manifest === undefined || verdict?.ours !== true ? undefined : viewIngress(manifest);
    if (view === undefined) this.#views.delete(key);
    else this.#views.set(key, { ...view, faults: [...(verdict?.faults ?? []), ...view.faults] });
    const namespace = key.slice(0, key.indexOf('/'));
    for (const service of this.#routed.set(key, view?.backends.map(({ ref }) => `${namespace}/${ref.service}`) ?? [])) {
      this.#touchService(service);
    }
    const secrets = view?.tls.map(({ secret }) => `${namespace}/${secret}`) ?? [];
    for (const secret of [...this.#named.to(key), ...secrets]) this.#dirty.secrets.add(secret);
    if (this.#named.set(key, secrets).length > 0) this.#renamed = true;
    this.#dirty.problems.add(key);
  }

  #deriveIngress(key: string): void {
    const manifest = this.#ingresses.get(key);
    const view = this.#views.get(key);
    const owner = `Ingress/${key}`;
    if (manifest === undefined) return this.#outputs.replace(owner, []);
    if (view === undefined) {
      return this.#outputs.replace(owner, problems(manifest, classVerdict(this.#currentClasses, manifest).faults));
    }
    const faults = [
      ...view.faults,
      ...missingBackends(view, this.#services),
      ...missingCertificates(view, this.#secrets, this.#certificates, (secret) => this.#sightings.stateOf(secret)),
    ];
    this.#outputs.replace(owner, [{ type: 'ingress', body: view.body }, ...problems(manifest, faults)]);
  }

  #deriveService(key: string): void {
    const service = this.#services.get(key);
    const owner = `Service/${key}`;
    if (service === undefined || !this.#routed.has(key)) return this.#outputs.replace(owner, []);
    const slices = [...this.#sliced.from(key)].flatMap((name) => {
      const slice = this.#slices.get(name);
      return slice === undefined ? [] : [viewSlice(slice, service, this.#folder)];
    });
    this.#outputs.replace(owner, [
      { type: 'service', body: reportedService(service, slices) },
      ...problems(service, serviceFaults(service)),
    ]);
  }

  #deriveSlice(key: string): void {
    const slice = this.#slices.get(key);
    const owner = `EndpointSlice/${key}`;
    const [serviceKey] = this.#sliced.to(key);
    if (slice !== undefined && serviceKey === undefined) {
      return this.#outputs.replace(owner, problems(slice, [UNLABELLED]));
    }
    const service =
      serviceKey === undefined || !this.#routed.has(serviceKey) ? undefined : this.#services.get(serviceKey);
    if (slice === undefined || service === undefined || isExternalName(service))
      return this.#outputs.replace(owner, []);
    const { ports, endpoints, faults } = viewSlice(slice, service, this.#folder);
    const body = { namespace: slice.namespace, service: service.name, ports, endpoints };
    const derived: Derived[] = slice.spec.addressType === 'FQDN' ? [] : [{ type: 'endpoints', name: slice.name, body }];
    this.#outputs.replace(owner, [...derived, ...problems(slice, faults)]);
  }

  /** What a Secret offers, for which hosts; the others that one of them is offered by are derived again. */
  #readSecret(key: string): void {
    const secret = this.#secrets.get(key);
    // A Secret that nobody names is not even looked into.
    const read = secret === undefined || !this.#isUsed(key) ? undefined : readCertificate(secret);
    if (read === undefined) {
      this.#certificates.delete(key);
      this.#faulty.delete(key);
    } else if ('code' in read) this.#faulty.set(key, read);
    else {
      this.#certificates.set(key, read);
      this.#faulty.delete(key);
    }
    const certificate = this.#certificates.get(key);
    const hosts = certificate === undefined ? [] : this.#hostsOf(key, certificate);
    for (const rival of this.#claims.set(key, certificate, hosts)) this.#dirty.secrets.add(rival);
  }

  #deriveSecret(key: string, now: number): void {
    const secret = this.#secrets.get(key);
    const owner = `Secret/${key}`;
    const isDefault = key === this.#defaultCertificate;
    if (secret === undefined || !this.#isUsed(key)) {
      const isMissing = secret === undefined && isDefault && this.#sightings.stateOf(key) !== 'unknown';
      return this.#outputs.replace(owner, isMissing ? [{ type: 'problem', body: missingDefault(key) }] : []);
    }
    const read = this.#faulty.get(key);
    const faults = read === undefined ? [] : [read];
    const certificate = this.#certificates.get(key);
    const derived: Derived[] = [];
    if (certificate !== undefined) {
      faults.push(...validityFaults(certificate, now));
      for (const at of [certificate.notBefore, certificate.notAfter]) {
        if (at > now) this.#nextValidity = Math.min(this.#nextValidity, at);
      }
      derived.push({ type: 'certificate', body: certificateInfo(secret, certificate) });
      const { hosts, lost } = this.#claims.settle(key);
      faults.push(...lostFaults(key, lost));
      if (hosts.length > 0 || isDefault) {
        derived.push({ type: 'own-certificate', body: ownCertificate(secret, certificate, hosts, isDefault) });
      }
    }
    this.#outputs.replace(owner, [...derived, ...problems(secret, faults)]);
    for (const ingress of this.#named.from(key)) this.#dirty.problems.add(ingress);
  }

  #isUsed(secret: string): boolean {
    return secret === this.#defaultCertificate || this.#named.has(secret);
  }

  /** Hosts that Ingresses of the Secret's namespace want it for and that it covers, ascending. */
  #hostsOf(key: string, certificate: UsableCertificate): string[] {
    const name = key.slice(key.indexOf('/') + 1);
    const hosts = new Set<string>();
    for (const ingress of this.#named.from(key)) {
      for (const entry of this.#views.get(ingress)?.tls ?? []) {
        if (entry.secret === name) for (const { host } of entry.hosts) if (covers(certificate, host)) hosts.add(host);
      }
    }
    return [...hosts].sort();
  }
}

function dirtySets() {
  return {
    classes: false,
    ingresses: new Set<string>(),
    /** Ingresses whose resources and problems are written again, although they did not change themselves. */
    problems: new Set<string>(),
    services: new Set<string>(),
    slices: new Set<string>(),
    secrets: new Set<string>(),
  };
}

function id({ namespace, name }: ObjectRef): string {
  return `${namespace}/${name}`;
}

function problems(manifest: Manifest, faults: readonly Fault[]): Derived[] {
  return faults.map((fault) => ({ type: 'problem', body: problemOf(manifest, fault) }));
}
