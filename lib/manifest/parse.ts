import type { z } from 'zod';
import { HeadgateError, unreachable, type Code } from '../errors.ts';
import { API_VERSION, laterKinds, policyKinds, type PolicyKind } from '../policy/schemas.ts';
import { canonicalJson } from './canonical-json.ts';
import { slicesOfEndpoints } from './endpoints.ts';
import { issueFaults } from './issue-faults.ts';
import { objectTitle, type Manifest, type ObjectRef } from './manifest.ts';
import { quoted } from './quoted.ts';
import {
  endpointSliceSpec,
  endpointsSpec,
  ingressClassSpec,
  ingressSpec,
  metadata,
  secretSpec,
  serviceSpec,
} from './schemas.ts';
import {
  documentTexts,
  fieldPath,
  MAX_TEXT,
  yamlDocuments,
  type RawDocument,
  type TextPart,
} from './yaml-documents.ts';

export interface ManifestError {
  readonly error: HeadgateError;
  /** The object that the document is about; undefined where even that cannot be told. */
  readonly ref: ObjectRef | undefined;
}

export interface ParsedManifests {
  /** False where the text is no YAML at all: then nothing may be concluded from what is missing in it. */
  readonly readable: boolean;
  /** In the order of the text. Kinds that Headgate does not read are left out. */
  readonly documents: readonly Manifest[];
  readonly errors: readonly ManifestError[];
}

const kinds = {
  Ingress: { group: 'networking.k8s.io', apiVersion: 'networking.k8s.io/v1', namespaced: true },
  IngressClass: { group: 'networking.k8s.io', apiVersion: 'networking.k8s.io/v1', namespaced: false },
  Service: { group: '', apiVersion: 'v1', namespaced: true },
  Endpoints: { group: '', apiVersion: 'v1', namespaced: true },
  EndpointSlice: { group: 'discovery.k8s.io', apiVersion: 'discovery.k8s.io/v1', namespaced: true },
  Secret: { group: '', apiVersion: 'v1', namespaced: true },
} as const;

type KubernetesKind = keyof typeof kinds;
type Value = Record<string, unknown>;

/**
 * What the parts of a file came to when it was last read, by line and text: reading it again costs only what
 * changed, and what did not change is the same object. Owned by the caller, one for each file.
 */
export type ParsedParts = Map<string, ParsedManifests>;

/**
 * Reads every document of a file that is of a kind Headgate knows. A document that is wrong does not stop the
 * others; each fault is one HeadgateError with object, field, place and remedy. Never throws.
 * @param file name for places: `file:line`.
 * @param known brought up to date.
 */
export function parseManifests(text: string, file: string, known: ParsedParts = new Map()): ParsedManifests {
  const before = new Map(known);
  known.clear();
  if (text.length > MAX_TEXT) return parsePart({ text, firstLine: 1 }, file);
  const documents: Manifest[] = [];
  const errors: ManifestError[] = [];
  for (const part of documentTexts(text)) {
    const key = `${part.firstLine} ${part.text}`;
    const parsed = before.get(key) ?? parsePart(part, file);
    known.set(key, parsed);
    // Where a part is no YAML, nothing is known of how the others were meant.
    if (!parsed.readable) return parsed;
    documents.push(...parsed.documents);
    errors.push(...parsed.errors);
  }
  return { readable: true, documents, errors };
}

/**
 * Reads one object that came from an API server, by the same rules; its faults have no place.
 * @param value with apiVersion and kind.
 */
export function parseObject(value: unknown): Omit<ParsedManifests, 'readable'> {
  const reader = new DocumentReader(UNPLACED, [], '');
  const documents = reader.read(value);
  return { documents, errors: reader.errors };
}

function parsePart({ text, firstLine }: TextPart, file: string): ParsedManifests {
  let raw: readonly RawDocument[];
  try {
    raw = yamlDocuments(text, file, firstLine);
  } catch (thrown) {
    return {
      readable: false,
      documents: [],
      errors: [{ error: HeadgateError.from(thrown, 'HG1001'), ref: undefined }],
    };
  }
  const documents: Manifest[] = [];
  const errors: ManifestError[] = [];
  for (const document of raw) {
    for (const item of itemsOf(document)) {
      const reader = new DocumentReader(document, item.prefix, file);
      documents.push(...reader.read(item.value));
      errors.push(...reader.errors);
    }
  }
  return { readable: true, documents, errors };
}

interface Item {
  readonly value: unknown;
  readonly prefix: readonly (string | number)[];
}

/** The members of a List, or the document itself. A List in a List is no manifest. */
function itemsOf({ value }: RawDocument): readonly Item[] {
  if (isObject(value) && value['kind'] === 'List' && value['apiVersion'] === 'v1' && Array.isArray(value['items'])) {
    return value['items'].map((item: unknown, index) => ({ value: item, prefix: ['items', index] }));
  }
  return [{ value, prefix: [] }];
}

class DocumentReader {
  readonly errors: ManifestError[] = [];
  readonly #document: RawDocument;
  readonly #prefix: readonly (string | number)[];
  readonly #file: string;
  #ref: ObjectRef | undefined;
  #title: string | undefined;

  constructor(document: RawDocument, prefix: readonly (string | number)[], file: string) {
    this.#document = document;
    this.#prefix = prefix;
    this.#file = file;
  }

  read(value: unknown): readonly Manifest[] {
    if (!isObject(value)) {
      this.#fail([], 'is not an object with apiVersion and kind', 'write a Kubernetes manifest, or move the file away');
      return [];
    }
    const { apiVersion, kind } = value;
    if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
      const field = typeof apiVersion === 'string' ? 'kind' : 'apiVersion';
      this.#fail([field], `a manifest needs apiVersion and kind`, 'add them, or move the file away');
      return [];
    }
    const slash = apiVersion.indexOf('/');
    const group = slash === -1 ? '' : apiVersion.slice(0, slash);
    if (group === 'headgate.dev') return this.#headgate(value, apiVersion, kind);
    if (!isKubernetesKind(kind)) return [];
    const known = kinds[kind];
    if (group !== known.group && !(kind === 'Ingress' && group === 'extensions')) return [];
    const object = this.#object(value, kind, known.namespaced);
    if (apiVersion !== known.apiVersion) {
      this.#fail(['apiVersion'], `${quoted(apiVersion)} is not read`, `convert it to ${known.apiVersion}`);
      return [];
    }
    return object === undefined ? [] : this.#kubernetes(value, kind, object);
  }

  #kubernetes(value: Value, kind: KubernetesKind, object: Identified): readonly Manifest[] {
    switch (kind) {
      case 'Ingress': {
        this.#closed(value);
        const spec = this.#check(ingressSpec, value['spec'], ['spec']);
        return spec === undefined ? [] : [{ ...object, kind, spec, lines: this.#lines() }];
      }
      case 'IngressClass': {
        const spec = this.#check(ingressClassSpec, value['spec'], ['spec']);
        return spec === undefined ? [] : [{ ...object, kind, spec }];
      }
      case 'Service': {
        const spec = this.#check(serviceSpec, value['spec'], ['spec']);
        return spec === undefined ? [] : [{ ...object, kind, spec }];
      }
      case 'EndpointSlice': {
        const spec = this.#check(endpointSliceSpec, value, []);
        return spec === undefined ? [] : [{ ...object, kind, spec }];
      }
      case 'Endpoints': {
        const spec = this.#check(endpointsSpec, value, []);
        return spec === undefined ? [] : slicesOfEndpoints(object, spec);
      }
      case 'Secret': {
        const spec = this.#check(secretSpec, value, []);
        return spec === undefined ? [] : [{ ...object, kind, spec }];
      }
      default:
        return unreachable(kind);
    }
  }

  #headgate(value: Value, apiVersion: string, kind: string): readonly Manifest[] {
    const namespaced = !isPolicyKind(kind) || policyKinds[kind].namespaced;
    // What is no word names no object: it would reach logs and the names of problems.
    const object = KIND.test(kind) ? this.#object(value, kind, namespaced) : undefined;
    if (laterKinds.has(kind)) {
      this.#fail(['kind'], `${kind} is not supported by this version`, 'remove it; nothing of it is in force');
      return [];
    }
    if (!isPolicyKind(kind)) {
      this.#fail(
        ['kind'],
        `${quoted(kind)} is no kind of ${API_VERSION}`,
        `use ${Object.keys(policyKinds).join(', ')}`,
      );
      return [];
    }
    if (apiVersion !== API_VERSION) {
      this.#fail(['apiVersion'], `${quoted(apiVersion)} is not read`, `use ${API_VERSION}`);
      return [];
    }
    if (object === undefined) return [];
    this.#closed(value);
    const raw = value['spec'] ?? {};
    const written = { specJson: canonicalJson(raw) };
    switch (kind) {
      case 'TrafficPolicy': {
        const spec = this.#check(policyKinds[kind].spec, raw, ['spec']);
        return spec === undefined ? [] : [{ ...object, ...written, kind, spec }];
      }
      case 'HostClaim': {
        const spec = this.#check(policyKinds[kind].spec, raw, ['spec']);
        return spec === undefined ? [] : [{ ...object, ...written, kind, spec }];
      }
      case 'Cluster': {
        const spec = this.#check(policyKinds[kind].spec, raw, ['spec']);
        return spec === undefined ? [] : [{ ...object, ...written, kind, spec }];
      }
      default:
        return unreachable(kind);
    }
  }

  /** Who the document is about, and what every kind has. */
  #object(value: Value, kind: string, namespaced: boolean): Identified | undefined {
    this.#title = kind;
    const meta = this.#check(metadata, value['metadata'], ['metadata']);
    if (meta === undefined) {
      // An object that can be named keeps its last good state although a label of it is wrong.
      const name = metadata.pick({ name: true, namespace: true }).safeParse(value['metadata']);
      if (name.success && kind !== 'Endpoints') this.#ref = refOf(kind, namespaced, name.data);
      if (this.#ref !== undefined) {
        const ref = this.#ref;
        this.errors.forEach((entry, index) => (this.errors[index] = { ...entry, ref }));
      }
      return undefined;
    }
    const ref = refOf(kind, namespaced, meta);
    this.#ref = kind === 'Endpoints' ? undefined : ref;
    this.#title = objectTitle(ref);
    return {
      namespace: ref.namespace,
      name: ref.name,
      generation: BigInt(meta.generation ?? 0),
      labels: new Map(Object.entries(meta.labels ?? {})),
      annotations: new Map(Object.entries(meta.annotations ?? {})),
      place: { file: this.#file, line: this.#document.lineOf(this.#prefix) },
      lines: NO_LINES,
    };
  }

  /** Refuses unknown top-level fields, where one that is misplaced would change what requests get. */
  #closed(value: Value): void {
    for (const key of Object.keys(value)) {
      if (!TOP_LEVEL.has(key)) this.#fail([key], 'unknown field', 'correct its spelling or indentation, or remove it');
    }
  }

  #check<S extends z.ZodType>(schema: S, value: unknown, path: readonly string[]): z.output<S> | undefined {
    const result = schema.safeParse(value);
    if (!result.success) {
      for (const fault of issueFaults(result.error, value))
        this.#fail([...path, ...fault.path], fault.message, fault.remedy, fault.code);
      return undefined;
    }
    return this.errors.length > 0 ? undefined : result.data;
  }

  #fail(path: readonly PropertyKey[], message: string, remedy: string, code: Code = 'HG1002'): void {
    const error = new HeadgateError(code, message, {
      ...(this.#title === undefined ? {} : { object: this.#title }),
      ...(path.length === 0 ? {} : { field: fieldPath(path) }),
      ...(this.#document === UNPLACED
        ? {}
        : { place: `${this.#file}:${this.#document.lineOf([...this.#prefix, ...path])}` }),
      remedy,
    });
    this.errors.push({ error, ref: this.#ref });
  }

  #lines(): ReadonlyMap<string, number> {
    const lines = this.#document.lines();
    if (this.#prefix.length === 0) return lines;
    const prefix = `${fieldPath(this.#prefix)}.`;
    return new Map(
      [...lines].flatMap(([path, line]) =>
        path.startsWith(prefix) ? [[path.slice(prefix.length), line] as const] : [],
      ),
    );
  }
}

export type Identified = Omit<Manifest, 'kind' | 'spec' | 'specJson'>;

const KIND = /^[A-Za-z][A-Za-z0-9]{0,62}$/;
const NO_LINES: ReadonlyMap<string, number> = new Map();
const UNPLACED: RawDocument = { value: undefined, line: 0, lineOf: () => 0, lines: () => NO_LINES };
const TOP_LEVEL: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata', 'spec', 'status']);

function refOf(
  kind: string,
  namespaced: boolean,
  { name, namespace }: { readonly name: string; readonly namespace?: string | null | undefined },
): ObjectRef {
  return { kind, namespace: namespaced ? (namespace ?? 'default') : '', name };
}

function isObject(value: unknown): value is Value {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isKubernetesKind(kind: string): kind is KubernetesKind {
  return Object.hasOwn(kinds, kind);
}

function isPolicyKind(kind: string): kind is PolicyKind {
  return Object.hasOwn(policyKinds, kind);
}
