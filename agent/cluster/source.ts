import type { ResourceDelta } from '../../lib/sync/index.ts';

/** What changed at the source, already checked, projected and encoded. */
export interface SourceChange {
  /** ingress, service, policy, certificate, problem: for the hub. */
  readonly report: ResourceDelta;
  /** endpoints, own-certificate: for the own nodes, by the fast lane. */
  readonly own: ResourceDelta;
}

/**
 * Where a cluster's objects come from: a folder of manifests or a Kubernetes API server. Nothing is yielded
 * before everything has been listed; the first change holds all there is. A removal is yielded only when the
 * source has seen the object go, never because it could not look.
 */
export interface Source {
  changes(signal: AbortSignal): AsyncIterable<SourceChange>;
}
