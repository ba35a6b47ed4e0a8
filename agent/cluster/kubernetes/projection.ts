import type { ApiResource, KubernetesObject } from '../../../lib/kubernetes/index.ts';
import { SERVICE_NAME_LABEL } from '../../../lib/manifest/endpoints.ts';
import { parseObject, type ParsedManifests } from '../../../lib/manifest/parse.ts';

/** What kubectl keeps of what was last applied: as long as the object itself. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** An object of the API server as a manifest, by the schemas of manifests; what no schema reads is dropped first. */
export function project(resource: ApiResource, object: KubernetesObject): Omit<ParsedManifests, 'readable'> {
  const { group, version, kind } = resource;
  const { metadata, ...fields } = object;
  const { name, namespace, generation } = metadata;
  const apiVersion = group === '' ? version : `${group}/${version}`;
  return parseObject({
    ...fields,
    apiVersion,
    kind,
    metadata: { name, namespace, generation, ...kept(kind, metadata) },
  });
}

/** Labels and annotations that are read; there are many more, on thousands of objects. */
function kept(kind: string, metadata: KubernetesObject['metadata']): object {
  const { labels, annotations } = metadata;
  switch (kind) {
    case 'Service':
    case 'Secret':
      return {};
    case 'EndpointSlice':
      return { labels: isRecord(labels) ? pick(labels, (key) => key === SERVICE_NAME_LABEL) : labels };
    default:
      return {
        labels,
        annotations: isRecord(annotations) ? pick(annotations, (key) => key !== LAST_APPLIED) : annotations,
      };
  }
}

function pick(record: Readonly<Record<string, unknown>>, isKept: (key: string) => boolean): object {
  return Object.fromEntries(Object.entries(record).filter(([key]) => isKept(key)));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
