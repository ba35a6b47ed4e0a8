import type { ClusterSpec, HostClaimSpec, TrafficPolicySpec } from '../policy/schemas.ts';
import type { EndpointSliceSpec, IngressClassSpec, IngressSpec, SecretSpec, ServiceSpec } from './schemas.ts';

/** What identifies an object, wherever its document stands. */
export interface ObjectRef {
  readonly kind: string;
  /** Empty for kinds without a namespace. */
  readonly namespace: string;
  readonly name: string;
}

export interface Place {
  /** As the caller named it; relative to the source's folder. Empty for an object of an API server. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

interface Document<Kind extends string, Spec> extends ObjectRef {
  readonly kind: Kind;
  /** `metadata.generation`; 0 where the document has none. */
  readonly generation: bigint;
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
  readonly spec: Spec;
  /** Where the document starts. */
  readonly place: Place;
  /** Lines of fields by their path ("spec.rules[0].host"); kept where checks follow that are not the schema's. */
  readonly lines: ReadonlyMap<string, number>;
}

export type IngressManifest = Document<'Ingress', IngressSpec>;
export type IngressClassManifest = Document<'IngressClass', IngressClassSpec>;
export type ServiceManifest = Document<'Service', ServiceSpec>;
/** A v1 Endpoints document becomes slices too, named `endpoints:<name>:<n>`. */
export type EndpointSliceManifest = Document<'EndpointSlice', EndpointSliceSpec>;
export type SecretManifest = Document<'Secret', SecretSpec>;

interface PolicyDocument<Kind extends string, Spec> extends Document<Kind, Spec> {
  /** Canonical JSON of spec as written: keys ascending, no defaults filled in; parses by the same schema. */
  readonly specJson: string;
}

export type TrafficPolicyManifest = PolicyDocument<'TrafficPolicy', TrafficPolicySpec>;
export type HostClaimManifest = PolicyDocument<'HostClaim', HostClaimSpec>;
export type ClusterManifest = PolicyDocument<'Cluster', ClusterSpec>;
export type PolicyManifest = TrafficPolicyManifest | HostClaimManifest | ClusterManifest;

/** A document of a kind that Headgate reads, checked by its schema. */
export type Manifest =
  | IngressManifest
  | IngressClassManifest
  | ServiceManifest
  | EndpointSliceManifest
  | SecretManifest
  | PolicyManifest;

/** `Kind/namespace/name`; unique, since none of the parts can hold '/'. */
export function objectKey({ kind, namespace, name }: ObjectRef): string {
  return `${kind}/${namespace}/${name}`;
}

/** For people: `Kind namespace/name`, or `Kind name`. */
export function objectTitle({ kind, namespace, name }: ObjectRef): string {
  return namespace === '' ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}

/** `file:line`; empty where there is no file. */
export function placeText({ file, line }: Place): string {
  return file === '' ? '' : `${file}:${line}`;
}

/** Place of a field, or of the nearest enclosing one that the document has. */
export function placeOf(manifest: Pick<Manifest, 'place' | 'lines'>, field: string): Place {
  for (let path = field; path !== ''; path = path.replace(/(\.[^.[\]]*|\[[^\]]*\]|^[^.[\]]*)$/, '')) {
    const line = manifest.lines.get(path);
    if (line !== undefined) return { file: manifest.place.file, line };
  }
  return manifest.place;
}
