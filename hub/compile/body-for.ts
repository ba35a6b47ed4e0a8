import type { Resource } from '../../lib/sync/index.ts';
import type { CompiledHost } from './types.ts';

/** The host's body as a cluster gets it; undefined where it gets none. */
export function bodyFor(compiled: CompiledHost, cluster: string): Resource | undefined {
  return compiled.variants.get(cluster) ?? (compiled.recipients.includes(cluster) ? compiled.body : undefined);
}

/** Every cluster that gets a body. */
export function clustersOf(compiled: CompiledHost | undefined): Iterable<string> {
  return compiled === undefined ? [] : new Set([...compiled.recipients, ...compiled.variants.keys()]);
}
