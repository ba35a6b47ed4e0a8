import type { FieldOrigin } from '../types.ts';

export interface ExplainRequest {
  /** Host header as a client sends it; a port is allowed. */
  readonly host: string;
  /** Raw path, without query. */
  readonly path: string;
  /** The cluster the request enters. */
  readonly entry: string;
}

/** One cluster's part in a route, as the entry sees it. */
export interface ExplainedCluster {
  readonly cluster: string;
  /** Of 100,000. */
  readonly share: number;
  /** In words, for example "serves its own first" or "no ready endpoint". */
  readonly why: string;
  /** `<namespace>/<service>/<port>` in that cluster. */
  readonly backend: string;
  readonly ready: number;
}

export interface ExplainedRoute {
  readonly id: string;
  /** The host whose routes were searched: exact, wildcard or "*". */
  readonly host: string;
  /** Namespace that owns the host; undefined for "*". */
  readonly owner: string | undefined;
  readonly pathType: 'Exact' | 'Prefix' | 'Regex';
  readonly path: string;
  readonly recipients: readonly string[];
  readonly fields: readonly FieldOrigin[];
  /** `agent`: what the entry's agent reports it does; `computed`: the same function over what the hub knows. */
  readonly splitSource: 'agent' | 'computed';
  /** Descending by share, then name; clusters without a share included. */
  readonly clusters: readonly ExplainedCluster[];
  /** In the order tried at request time. */
  readonly fallbacks: readonly string[];
  /** Where returning clients may go; empty without affinity. */
  readonly sticky: readonly string[];
  readonly tier: number;
  readonly reasons: readonly string[];
}

export interface Explanation {
  readonly request: ExplainRequest;
  /** The path in normal form. */
  readonly normalPath: string;
  /** What a client gets: 404 without a route, 503 with none usable, otherwise the route serves. */
  readonly outcome: 'served' | '404' | '503';
  /** One sentence. */
  readonly summary: string;
  readonly route: ExplainedRoute | undefined;
}
