import { isWildcard, wildcardOf } from '../../../lib/domain/host-name.ts';
import type { CertificateEntry } from '../model/desired.ts';
import { certificateFile, files } from '../model/names.ts';
import type { Draft } from './draft.ts';
import type { DesiredState } from './state.ts';

/** A certificate as its cluster offers it. */
export interface OfferedCertificate {
  /** Namespace of its Secret. */
  readonly namespace: string;
  /** Hosts that Ingresses of the namespace want it for. */
  readonly hosts: readonly string[];
  /** Key and chain, PEM. */
  readonly pem: string;
  /** For a client whose SNI names nothing here. */
  readonly fallback: boolean;
}

/**
 * Certificates, each served for the hosts that its namespace owns: what it is offered for beyond them, by mistake
 * or to get between another tenant and its clients, it serves nothing for. Who owns a host is what the hub says.
 */
export class Certificates {
  readonly #state: DesiredState;
  readonly #offered = new Map<string, OfferedCertificate>();
  readonly #entries = new Map<string, CertificateEntry>();
  /** Certificate names by a host that they are offered for. */
  readonly #byHost = new Map<string, Set<string>>();
  /** The same by the wildcard over such a host. */
  readonly #byWildcard = new Map<string, Set<string>>();
  /** Namespace by host. */
  readonly #owners = new Map<string, string>();
  /** Exact hosts by the wildcard that covers them. */
  readonly #under = new Map<string, Set<string>>();
  /** What a client gets whose SNI names nothing here and where no certificate is offered for that. */
  readonly #selfMade: string | undefined;
  /** The certificate that is offered for it. */
  #fallback: string | undefined;
  #dirty = new Set<string>();

  constructor(state: DesiredState, selfMade: string | undefined) {
    this.#state = state;
    this.#selfMade = selfMade;
  }

  set(name: string, next: OfferedCertificate | undefined): void {
    for (const [index, host] of this.#places(name)) drop(index, host, name);
    if (next === undefined) this.#offered.delete(name);
    else this.#offered.set(name, next);
    for (const [index, host] of this.#places(name)) put(index, host, name);
    this.#dirty.add(name);
  }

  /** @param namespace undefined: nobody's any more. */
  setOwner(host: string, namespace: string | undefined): void {
    if (this.#owners.get(host) === namespace) return;
    const wildcard = wildcardOf(host);
    if (namespace === undefined) {
      this.#owners.delete(host);
      if (wildcard !== undefined) drop(this.#under, wildcard, host);
    } else {
      this.#owners.set(host, namespace);
      if (wildcard !== undefined) put(this.#under, wildcard, host);
    }
    const touched = [this.#byHost.get(host), this.#byHost.get(wildcard ?? ''), this.#byWildcard.get(host)];
    for (const names of touched) for (const name of names ?? []) this.#dirty.add(name);
  }

  /** The certificate that has a file. */
  nameOf(file: string): string | undefined {
    if (file === files.defaultCertificate) return this.#fallback;
    for (const [name, entry] of this.#entries) if (entry.file === file) return name;
    return undefined;
  }

  refresh(draft: Draft): void {
    for (const name of this.#dirty) {
      // Whatever made it change, it is the certificate that HAProxy may refuse.
      const owner = { type: 'own-certificate', name };
      const before = this.#entries.get(name);
      const next = this.#entry(name);
      if (next === undefined) this.#entries.delete(name);
      else {
        this.#entries.set(name, next);
        this.#state.certificates.set(next.file, next);
        if (before?.file !== next.file) draft.add({ kind: 'certificate-add', certificate: next }, owner);
        else if (before.pem !== next.pem) draft.add({ kind: 'certificate-update', certificate: next }, owner);
      }
      if (before !== undefined && before.file !== next?.file) {
        this.#state.certificates.delete(before.file);
        draft.add({ kind: 'certificate-remove', certificate: before }, owner);
      }
    }
    if (this.#dirty.size > 0) this.#refreshFallback(draft);
    this.#dirty = new Set();
  }

  #refreshFallback(draft: Draft): void {
    const [name] = [...this.#offered].flatMap(([one, { fallback }]) => (fallback ? [one] : [])).sort();
    const pem = this.#offered.get(name ?? '')?.pem;
    const owner = name ?? this.#fallback;
    this.#fallback = name;
    if (this.#state.defaultCertificate === pem) return;
    this.#state.defaultCertificate = pem;
    const now = pem ?? this.#selfMade;
    if (now === undefined || owner === undefined) return;
    const certificate = { file: files.defaultCertificate, hosts: [], pem: now };
    draft.add({ kind: 'certificate-update', certificate }, { type: 'own-certificate', name: owner });
  }

  #entry(name: string): CertificateEntry | undefined {
    const offered = this.#offered.get(name);
    if (offered === undefined) return undefined;
    const { namespace, pem } = offered;
    const owned = offered.hosts.flatMap((host) => this.#owned(host, namespace));
    const hosts = [...new Set(owned)].sort();
    return hosts.length === 0 ? undefined : { file: certificateFile(name, hosts), hosts, pem };
  }

  /** What of a host the namespace owns: all, the exact hosts under a wildcard, or nothing. */
  #owned(host: string, namespace: string): string[] {
    const owner = this.#owners.get(host);
    if (owner === namespace) return [host];
    if (isWildcard(host)) {
      return [...(this.#under.get(host) ?? [])].filter((exact) => this.#owners.get(exact) === namespace);
    }
    if (owner !== undefined) return [];
    const wildcard = wildcardOf(host);
    return wildcard !== undefined && this.#owners.get(wildcard) === namespace ? [host] : [];
  }

  *#places(name: string): Iterable<[Map<string, Set<string>>, string]> {
    for (const host of this.#offered.get(name)?.hosts ?? []) {
      yield [this.#byHost, host];
      const wildcard = wildcardOf(host);
      if (wildcard !== undefined) yield [this.#byWildcard, wildcard];
    }
  }
}

function put(map: Map<string, Set<string>>, key: string, value: string): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}

function drop(map: Map<string, Set<string>>, key: string, value: string): void {
  const set = map.get(key);
  set?.delete(value);
  if (set?.size === 0) map.delete(key);
}
