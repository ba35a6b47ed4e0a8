import { validHost } from '../../../lib/domain/host-name.ts';
import { readPathRegex } from '../../../lib/domain/path-regex/path-regex.ts';
import { routePath, validRulePath } from '../../../lib/domain/path.ts';
import { REFUSED_SERVICE } from '../../../lib/domain/refused-service.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import type { IngressManifest } from '../../../lib/manifest/manifest.ts';
import { quoted } from '../../../lib/manifest/quoted.ts';
import type { IngressBackend } from '../../../lib/manifest/schemas.ts';
import { PathType } from '../../../proto/gen/headgate/v1/configured.ts';
import type { BackendRef, Ingress, IngressRule, IngressTls } from '../../../proto/gen/headgate/v1/reported.ts';
import { annotationFaults, knownAnnotations, wantsPathRegex } from './annotations.ts';
import type { Fault } from './problems.ts';

/** An Ingress in normal form, and what it names. */
export interface IngressView {
  readonly body: Ingress;
  /** Every Service port that it routes to, with the field that names it. */
  readonly backends: readonly NamedBackend[];
  readonly tls: readonly NamedSecret[];
  readonly faults: readonly Fault[];
}

export interface NamedBackend {
  readonly field: string;
  readonly ref: BackendRef;
}

export interface NamedSecret {
  readonly field: string;
  readonly secret: string;
  /** Hosts that the entry lists, each with its field; without any, those of the Ingress' rules, without. */
  readonly hosts: readonly { readonly host: string; readonly field: string | undefined }[];
}

export function viewIngress(manifest: IngressManifest): IngressView {
  const reader = new IngressReader(manifest);
  return reader.view();
}

class IngressReader {
  readonly #manifest: IngressManifest;
  readonly #faults: Fault[] = [];
  readonly #backends: NamedBackend[] = [];
  /** Whether a key that protects is not honoured: then nothing may be served. */
  readonly #refused: boolean;
  /** Whether ImplementationSpecific paths are regular expressions. */
  readonly #regexes: boolean;

  constructor(manifest: IngressManifest) {
    this.#manifest = manifest;
    this.#faults.push(...annotationFaults(manifest.annotations));
    this.#refused = this.#faults.some(({ severity }) => severity === 'error');
    this.#regexes = wantsPathRegex(manifest.annotations);
  }

  view(): IngressView {
    const { namespace, name, generation, labels, annotations, spec } = this.#manifest;
    const given = spec.defaultBackend ?? undefined;
    const defaultBackend = given === undefined ? undefined : this.#backend(given, 'spec.defaultBackend');
    const rules = this.#rules(defaultBackend);
    const { tls, secrets } = this.#tls([...new Set(rules.map(({ host }) => host).filter((host) => host !== ''))]);
    return {
      body: {
        namespace,
        name,
        generation,
        rules,
        defaultBackend,
        tls,
        labels: new Map([...labels].sort(([a], [b]) => (a < b ? -1 : 1))),
        annotations: knownAnnotations(annotations),
      },
      backends: this.#backends,
      tls: secrets,
      faults: this.#faults,
    };
  }

  #rules(defaultBackend: BackendRef | undefined): IngressRule[] {
    const rules: IngressRule[] = [];
    const claimed = new Set<string>();
    const claim = (rule: IngressRule, field: string): void => {
      const key = `${rule.host} ${rule.pathType} ${rule.path}`;
      if (claimed.has(key)) {
        const what = `${rule.host === '' ? 'any host' : quoted(rule.host)} with ${quoted(rule.path)}`;
        this.#fault('HG1005', field, `${what} is claimed twice; the first rule has it`, 'remove one of the two');
        return;
      }
      claimed.add(key);
      rules.push(rule);
    };
    (this.#manifest.spec.rules ?? []).forEach((rule, index) => {
      const field = `spec.rules[${index}]`;
      const written = rule.host ?? '';
      const host = written === '' ? '' : this.#host(written, `${field}.host`);
      if (host === undefined) return;
      const paths = rule.http?.paths ?? [];
      if (paths.length === 0 && defaultBackend !== undefined && host !== '') {
        claim({ host, pathType: PathType.PREFIX, path: '/', backend: defaultBackend }, field);
      }
      paths.forEach((entry, position) => {
        const at = `${field}.http.paths[${position}]`;
        const isRegex = this.#regexes && entry.pathType === 'ImplementationSpecific';
        const pathType = isRegex ? PathType.REGEX : entry.pathType === 'Exact' ? PathType.EXACT : PathType.PREFIX;
        const written = entry.path ?? '';
        const path = written === '' && entry.pathType === 'ImplementationSpecific' ? '/' : written;
        const known = isRegex
          ? this.#regex(host, path, `${at}.path`)
          : this.#path(pathType, path, written, `${at}.path`);
        if (known === undefined) return;
        const backend = this.#backend(entry.backend, `${at}.backend`);
        if (backend !== undefined) claim({ host, pathType, path: known, backend }, `${at}.path`);
      });
    });
    return rules;
  }

  #path(pathType: PathType, path: string, written: string, field: string): string | undefined {
    if (validRulePath(path)) return routePath(pathType, path);
    const why = written.startsWith('/')
      ? 'holds a space, a control character, "#", "?" or what is not ASCII'
      : 'is not absolute';
    const remedy = 'write a path that begins with "/", with such characters percent-encoded';
    this.#fault('HG1002', field, `path ${quoted(written)} ${why}`, remedy);
    return undefined;
  }

  #regex(host: string, path: string, field: string): string | undefined {
    if (host === '') {
      const remedy = 'give the rule a host, or the path another type';
      this.#fault('HG1002', field, `the regular expression ${quoted(path)} has no host`, remedy);
      return undefined;
    }
    try {
      return readPathRegex(path).text;
    } catch (thrown) {
      const { message, remedy = '' } = HeadgateError.from(thrown, 'HG1002');
      this.#fault('HG1002', field, `path ${quoted(path)}: ${message}`, remedy);
      return undefined;
    }
  }

  #tls(ruleHosts: readonly string[]): { readonly tls: IngressTls[]; readonly secrets: NamedSecret[] } {
    const tls: IngressTls[] = [];
    const secrets: NamedSecret[] = [];
    (this.#manifest.spec.tls ?? []).forEach((entry, index) => {
      const field = `spec.tls[${index}]`;
      const listed = (entry.hosts ?? []).flatMap((written, position) => {
        const at = `${field}.hosts[${position}]`;
        const host = this.#host(written, at);
        return host === undefined ? [] : [{ host, field: at }];
      });
      const secret = entry.secretName ?? '';
      tls.push({ hosts: listed.map(({ host }) => host), secret });
      if (secret === '') return;
      const implied = ruleHosts.map((host) => ({ host, field: undefined }));
      secrets.push({ field, secret, hosts: (entry.hosts ?? []).length === 0 ? implied : listed });
    });
    return { tls, secrets };
  }

  /** Lower case; undefined, and told, where it is no host name. */
  #host(written: string, field: string): string | undefined {
    const host = written.toLowerCase();
    // An address is no host name, although it looks like one.
    if (validHost(host) && !/^[0-9.]+$/.test(host)) return host;
    const remedy = 'write a DNS name such as shop.example, or *.shop.example for one label';
    this.#fault('HG1002', field, `host ${quoted(written)} is no host name`, remedy);
    return undefined;
  }

  #backend(backend: IngressBackend, field: string): BackendRef | undefined {
    if (backend.service === undefined) {
      const remedy = 'name a Service instead';
      this.#fault('HG1010', `${field}.resource`, 'resource backends are not supported', remedy);
      return undefined;
    }
    const { name, port } = backend.service;
    const ref = { service: name, portNumber: port.number ?? 0, portName: port.name ?? '' };
    if (this.#refused) return { ...ref, service: REFUSED_SERVICE };
    this.#backends.push({ field: `${field}.service`, ref });
    return ref;
  }

  #fault(code: Fault['code'], field: string, message: string, remedy: string): void {
    this.#faults.push({ code, field, message, remedy, severity: 'error' });
  }
}
