import type { Resource } from '../../lib/sync/index.ts';
import type { TrafficPolicy } from './policy/attachment.ts';
import type { Reach } from './policy/reach.ts';

/** The condition of one object, as status, CLI and console show it. */
export interface ObjectStatus {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Where the object stands; undefined at the hub. */
  readonly cluster: string | undefined;
  readonly accepted: boolean;
  readonly reason: 'Accepted' | 'Conflicted' | 'Invalid' | 'TargetNotFound' | 'PartiallyProgrammed' | 'Overridden';
  readonly message: string;
  readonly code: string | undefined;
  readonly field: string | undefined;
  readonly remedy: string | undefined;
}

/** Which value of a policy field is in force, who set it and whom it beat. */
export interface FieldOrigin {
  readonly field: string;
  readonly value: unknown;
  /** "TrafficPolicy shop/shop at hub", "default", … */
  readonly winner: string;
  readonly losers: readonly string[];
}

/** A host computed anew; its body may have come out the same. */
export interface HostChange {
  readonly previous: CompiledHost | undefined;
  readonly next: CompiledHost | undefined;
}

/** Everything that one host compiles to. A pure function of the fleet's state; byte-identical everywhere. */
export interface CompiledHost {
  readonly name: string;
  /** The body for every recipient that has no variant. Undefined where none serves it, and for host "*". */
  readonly body: Resource | undefined;
  /**
   * For entries whose member policies differ; every entry of host "*", whose rules never cross. A variant of an
   * entry that is no recipient has no routes: it keeps the host from a wildcard of another namespace.
   */
  readonly variants: ReadonlyMap<string, Resource>;
  /** Clusters that serve the host, ascending. */
  readonly recipients: readonly string[];
  /** Backend resources per owning cluster. */
  readonly backends: ReadonlyMap<string, readonly Resource[]>;
  /** What is not as asked; an object that is not named here is accepted. */
  readonly statuses: readonly ObjectStatus[];
  /** What becomes of each policy that says something of a route here. */
  readonly reach: ReadonlyMap<TrafficPolicy, Reach>;
  /** Per route id, then per entry cluster ('' for the common body). */
  readonly origins: ReadonlyMap<string, ReadonlyMap<string, readonly FieldOrigin[]>>;
}
